/**
 * What a simulated run is watched for, one promise a file.
 *
 * @module
 */
import { AdmittedRequestsEnd } from "./every_admitted_request_ends.ts";
import { NoByteLostOrRepeated } from "./no_byte_lost_or_repeated.ts";
import { NoSlotDoubleBooked } from "./no_slot_double_booked.ts";
import { NoWayBackToALosingNode } from "./no_way_back_to_a_losing_node.ts";

/** A promise that was broken. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** Reports what breaks a promise. */
export type Report = (promise: string, what: string) => void;

/** All checkers of one run. */
export class Watch {
  readonly bytes: NoByteLostOrRepeated;
  readonly slots: NoSlotDoubleBooked;
  readonly ends: AdmittedRequestsEnd;
  readonly ways: NoWayBackToALosingNode;

  constructor(report: Report) {
    this.bytes = new NoByteLostOrRepeated(report);
    this.slots = new NoSlotDoubleBooked(report);
    this.ends = new AdmittedRequestsEnd(report);
    this.ways = new NoWayBackToALosingNode(report);
  }
}
