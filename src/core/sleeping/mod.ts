/**
 * Machines that sleep on purpose: when one may, what the cluster's catalogue says of it meanwhile, who wakes it, and when a machine
 * keeps out of the way of other programs. Pure; knows no clock, no network and no system call. Start with `sleep_plan.ts`.
 *
 * @module
 */
export {
  type Hardware,
  HARDWARE_LIMITS,
  hardwareKey,
  readHardware,
  readSleep,
  readWakeTime,
  type Sleep,
  sleepKey,
  wakeTimeKey,
  writeHardware,
  writeSleep,
  writeWakeTime,
} from "./sleep_rows.ts";
export {
  nextSleepStep,
  type SleepFacts,
  type SleepLook,
  type SleepMember,
  type SleepStep,
  whoStays,
} from "./sleep_plan.ts";
export { chooseWaker, magicPacket, meanWakeMs, WAKE_LIMITS, type WakeMember } from "./wake_plan.ts";
export { YIELD_DEFAULTS, YieldJudge, type YieldOptions } from "./yield_judge.ts";
