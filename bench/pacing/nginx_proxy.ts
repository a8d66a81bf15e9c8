/**
 * nginx as a plain proxy: one process that passes bytes on, over connections that it keeps.
 *
 * @module
 */
import { join } from "node:path";
import { freePort, type RunningServer, startServer } from "../measuring/servers.ts";

/** Starts one before `origin`; undefined where there is no such program. */
export async function startProxy(
  program: string,
  by: { readonly folder: string; readonly origin: string },
): Promise<RunningServer | undefined> {
  if (!await isThere(program)) return undefined;
  const port = freePort("tcp");
  const configuration = join(by.folder, "nginx.conf");
  await Deno.writeTextFile(configuration, configurationFor(port, by));
  return await startServer({
    command: program,
    args: ["-p", by.folder, "-e", join(by.folder, "nginx_errors.log"), "-c", configuration],
    environment: {},
    port,
    readyPath: "/ready",
    logPath: join(by.folder, "nginx.log"),
  });
}

function configurationFor(port: number, by: { folder: string; origin: string }): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) =>
    `${kind}_temp_path ${join(by.folder, kind)};`
  );
  const { host } = new URL(by.origin);
  return `daemon off; master_process off; pid ${join(by.folder, "nginx.pid")};
events { worker_connections 4096; }
http {
  access_log off; ${temporary.join(" ")}
  upstream holder { server ${host}; keepalive 512; }
  server {
    listen 127.0.0.1:${port};
    keepalive_requests 1000000;
    location / {
      proxy_pass http://holder;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host ${host};
      proxy_buffering off;
    }
  }
}
`;
}

async function isThere(program: string): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args: ["-v"], stderr: "null" }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
