/**
 * Reads the JUnit report that `deno test` writes. Deno lists each step as a case of its own, named
 * `test > step`, and each test counts once here as in Deno's own summary line.
 *
 * @module
 */

/** One test of one file. */
export interface TestResult {
  readonly file: string;
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly seconds: number;
}

/** How many tests ended how. */
export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Every test of a report; throws TypeError for a text that is no report. */
export function parseJunit(xml: string): TestResult[] {
  if (!xml.includes("</testsuites>")) {
    throw new TypeError("Cannot read JUnit report: it must end with </testsuites>");
  }
  const results: TestResult[] = [];
  for (const suite of xml.matchAll(/<testsuite name="([^"]*)"[^>]*>(.*?)<\/testsuite>/gs)) {
    results.push(...parseCases(decodeXml(suite[1] ?? ""), suite[2] ?? ""));
  }
  return results;
}

/** Tests per outcome. */
export function countResults(results: readonly TestResult[]): TestCounts {
  const count = (outcome: TestResult["outcome"]) =>
    results.filter((result) => result.outcome === outcome).length;
  return { passed: count("passed"), failed: count("failed"), skipped: count("skipped") };
}

function parseCases(file: string, body: string): TestResult[] {
  const cases: TestResult[] = [];
  for (const [, attributes = "", , inner = ""] of body.matchAll(CASE)) {
    cases.push({
      file,
      name: attribute(attributes, "name"),
      outcome: outcomeOf(inner),
      seconds: Number(attribute(attributes, "time")) || 0,
    });
  }
  const names = new Set(cases.map((result) => result.name));
  return cases.filter((result) => !isStep(result.name, names))
    .map(({ file, name, outcome, seconds }) => ({ file, name, outcome, seconds }));
}

const CASE = /<testcase ([^>]*?)(\/>|>(.*?)<\/testcase>)/gs;

function isStep(name: string, names: ReadonlySet<string>): boolean {
  for (let at = name.indexOf(" > "); at !== -1; at = name.indexOf(" > ", at + 1)) {
    if (names.has(name.slice(0, at))) return true;
  }
  return false;
}

function outcomeOf(inner: string): TestResult["outcome"] {
  if (inner.includes("<failure") || inner.includes("<error")) return "failed";
  return inner.includes("<skipped") ? "skipped" : "passed";
}

function attribute(attributes: string, key: string): string {
  return decodeXml(new RegExp(`(?:^|\\s)${key}="([^"]*)"`).exec(attributes)?.[1] ?? "");
}

function decodeXml(text: string): string {
  return text.replaceAll("&quot;", '"').replaceAll("&apos;", "'").replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}
