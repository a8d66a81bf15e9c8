/** A network card by which a machine can be woken. */
export interface NetworkCard {
  /** `02:00:00:00:00:01`. */
  readonly mac: string;
  /** Where all machines of its network segment hear: an IPv4 broadcast address. */
  readonly broadcast: string;
}

/** Processor time since the machine started, in seconds of one core. */
export interface CoreSeconds {
  /** All cores together, idle or not. */
  readonly passed: number;
  /** Used by anybody. */
  readonly used: number;
  /** Used by this node and the processes it started. */
  readonly own: number;
}

/** Sleep and waking of machines, and who else uses this one. */
export interface Power {
  /** The cards of this machine that have a network. */
  cards(): readonly NetworkCard[];
  /** Whether somebody is logged in here and has done something lately; undefined = the system doesn't tell. */
  isUserHere(): Promise<boolean | undefined>;
  /**
   * Puts this machine to sleep; resolves when the command has ended, before or after the sleep.
   *
   * @throws UnavailableError `sleep_failed` with what the command said.
   */
  suspend(): Promise<void>;
  /** @throws UnavailableError `address_unusable`. */
  broadcast(packet: Uint8Array, address: string): Promise<void>;
  /** Undefined = the system doesn't tell. */
  coreSeconds(): Promise<CoreSeconds | undefined>;
}
