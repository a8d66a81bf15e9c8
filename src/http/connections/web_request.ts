import type { IncomingMessage } from "node:http";

/**
 * The request as the app reads it, or undefined when it is none: no such method, a `Host` that is none, or two of them.
 * Without body and signal, which cost more in these classes than all the rest.
 */
export function webRequest(incoming: IncomingMessage): Request | undefined {
  try {
    const url = urlOf(incoming);
    if (url === undefined) return undefined;
    return new Request(url, {
      method: incoming.method ?? "GET",
      headers: headersOf(incoming.rawHeaders),
    });
  } catch (error) {
    // What the classes of the web platform refuse is no request for them.
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

/** Whether a body may follow: one of GET and HEAD means nothing. */
export function mayHaveBody({ method, headers }: IncomingMessage): boolean {
  if (method === "GET" || method === "HEAD") return false;
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

function headersOf(raw: readonly string[]): [string, string][] {
  const headers: [string, string][] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    headers.push([raw[index] ?? "", raw[index + 1] ?? ""]);
  }
  return headers;
}

function urlOf({ url = "/", headers, rawHeaders }: IncomingMessage): string | undefined {
  const hosts = rawHeaders.filter((name, index) => index % 2 === 0 && /^host$/i.test(name));
  if (hosts.length > 1) return undefined;
  const host = headers.host || "localhost";
  // Anything but a name and a port would become another part of the URL.
  if (/[^\w.:[\]%~!$&'()*+,;=-]/.test(host)) return undefined;
  if (url.startsWith("/")) return `http://${host}${url}`;
  // As proxies are asked; which name is meant is what Host says, and is checked.
  const [, path] = /^https?:\/\/[^/?#]*(.*)$/i.exec(url) ?? [];
  return path === undefined ? undefined : `http://${host}${path}`;
}
