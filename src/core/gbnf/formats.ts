const DAY = "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|" +
  "02-(?:0[1-9]|1\\d|2[0-8]))";
const LEAP_YEAR = "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)";
const DATE = `(?:\\d{4}-${DAY}|${LEAP_YEAR}-02-29)`;
const HOUR = "(?:[01]\\d|2[0-3])";
const TIME = `${HOUR}:[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-]${HOUR}:[0-5]\\d)`;
const HEX = "[0-9a-fA-F]";
const uuid = (version: string) =>
  `${HEX}{8}-${HEX}{4}-${version}${HEX}{3}-[89abAB]${HEX}{3}-${HEX}{12}`;
const LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?";
const DOMAIN = `(?:${LABEL}\\.){1,4}[A-Za-z]{2,12}`;
// Without counts: a pattern beside it is followed place by place.
const EMAIL = "[A-Za-z0-9_+-]+(?:\\.[A-Za-z0-9_+-]+)*@" +
  "(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\\.)+[A-Za-z]{2,}";
const OCTET = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const IPV4 = `${OCTET}(?:\\.${OCTET}){3}`;
const GROUP = `${HEX}{1,4}`;
const IPV6 = `(?:(?:${GROUP}:){7}${GROUP}|(?:${GROUP}:){1,6}:|::(?:${GROUP}:){0,5}${GROUP}|::)`;
const URI_CHARACTER = `(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%${HEX}${HEX})`;
const URI = `[a-z][a-z0-9+.-]{0,15}://(?:${DOMAIN}|localhost|${IPV4})(?::[1-9]\\d{0,3})?` +
  `(?:/${URI_CHARACTER}{0,40}){0,8}(?:\\?${URI_CHARACTER}{0,200})?(?:#${URI_CHARACTER}{0,50})?`;
const COUNT = "\\d{1,4}";
const DAYS = `(?:${COUNT}Y(?:${COUNT}M)?(?:${COUNT}D)?|${COUNT}M(?:${COUNT}D)?|${COUNT}D)`;
const CLOCK = `T(?:${COUNT}H(?:${COUNT}M)?(?:${COUNT}S)?|${COUNT}M(?:${COUNT}S)?|${COUNT}S)`;

/**
 * Formats that are enforced, as patterns of the whole text; others are annotations, as JSON Schema has it. Each is a part of
 * what its standard allows, so that it holds for every validator.
 */
export const FORMATS: ReadonlyMap<string, string> = new Map([
  ["date", DATE],
  ["time", TIME],
  ["date-time", `${DATE}T${TIME}`],
  ["duration", `P(?:\\d{1,4}W|${DAYS}(?:${CLOCK})?|${CLOCK})`],
  ["uuid", uuid(HEX)],
  ["guid", uuid(HEX)],
  ...[1, 3, 4, 5, 6, 7, 8].map((version) => [`uuid${version}`, uuid(String(version))] as const),
  ["email", EMAIL],
  ["idn-email", EMAIL],
  ["hostname", DOMAIN],
  ["idn-hostname", DOMAIN],
  ["ipv4", IPV4],
  ["ipv6", IPV6],
  ["uri", URI],
  ["uri-reference", URI],
  ["iri", URI],
  ["iri-reference", URI],
  ["url", URI],
]);
