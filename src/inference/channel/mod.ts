/**
 * A loaded model at the other end of a channel: what is asked and answered, and that no more is written than is read. It
 * knows neither pipes nor streams, nor whether the other end lives. Start reading in `model_channel.ts`.
 *
 * @module
 */
export { ChannelledModel } from "./model_channel.ts";
