const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];
const two = (value: number) => String(value).padStart(2, "0");

/** Python's `strftime` in English, whatever the machine's language: prompts must not depend on it. */
export function strftime(date: Date, format: string): string {
  const day = DAYS[date.getDay()] ?? "";
  const month = MONTHS[date.getMonth()] ?? "";
  const hour = date.getHours();
  const fields: Readonly<Record<string, string>> = {
    a: day.slice(0, 3),
    A: day,
    b: month.slice(0, 3),
    B: month,
    d: two(date.getDate()),
    e: String(date.getDate()).padStart(2, " "),
    H: two(hour),
    I: two(hour % 12 === 0 ? 12 : hour % 12),
    j: String(dayOfYear(date)).padStart(3, "0"),
    m: two(date.getMonth() + 1),
    M: two(date.getMinutes()),
    p: hour < 12 ? "AM" : "PM",
    S: two(date.getSeconds()),
    y: two(date.getFullYear() % 100),
    Y: String(date.getFullYear()),
    F: `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`,
    "%": "%",
  };
  // `%-d` is the same without leading zero.
  return format.replace(/%(-?)([A-Za-z%])/g, (written, dash: string, letter: string) => {
    const text = fields[letter];
    if (text === undefined) return written;
    return dash === "-" ? text.replace(/^[0 ](?=.)/, "") : text;
  });
}

function dayOfYear(date: Date): number {
  const start = Date.UTC(date.getFullYear(), 0, 1);
  return (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - start) / 86_400_000 + 1;
}
