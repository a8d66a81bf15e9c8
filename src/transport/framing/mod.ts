/**
 * Bytes of a stream as frames with a length, and back. It never knows what is in one. Start reading in `peer_stream.ts`.
 *
 * @module
 */
export { ChannelWriter } from "./channel_writer.ts";
export { FrameQueue } from "./frame_queue.ts";
export { FrameReader, STREAM_ENDED, withLength } from "./frame_reader.ts";
export { QuicPeerStream } from "./peer_stream.ts";
export {
  type ByteStreams,
  END_MARK,
  ignoreLoss,
  isRuntimeLoss,
  lostConnection,
  sourceOf,
  type StreamParts,
  StreamPipe,
  takeStream,
} from "./stream_pipe.ts";
