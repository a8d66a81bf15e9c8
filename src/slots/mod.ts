/**
 * Slots on loaded models, of this node and of the others: the scheduler's driver, leases and routes. It never looks into a prompt. Start
 * reading in `lease.ts`.
 *
 * @module
 */
export {
  type LeaseRequest,
  type LeaseSource,
  modelKeyOf,
  neededModel,
  type WantedModel,
} from "./lease.ts";
export {
  type Lease,
  type OwnRoom,
  type OwnShare,
  SchedulerDriver,
  type ServingNode,
} from "./scheduler_driver.ts";
export { CellMoves } from "./cells/mod.ts";
export { createServing, type Serving } from "./serving.ts";
export { openControlGroup } from "./control_group.ts";
export { openProving, type ProofExchange } from "./proving/mod.ts";
export { meteredEngine, ownFigures, SpeedMeter } from "./own_load.ts";
export { DeviceRooms } from "./device_rooms.ts";
export { type Machine, openMachine, ownCpuMs } from "./system.ts";
