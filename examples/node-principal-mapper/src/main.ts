// A principal mapper for Realmgate in TypeScript, over the unary services of the contract.
import {
  loadPackageDefinition, Server,
  type GrpcObject, type sendUnaryData, type ServerUnaryCall, type ServerWritableStream, type ServiceClientConstructor,
} from "@grpc/grpc-js";
import { fromJSON } from "@grpc/proto-loader";
import { contract, failure, isFailure } from "./failure.js";
import { answer, door } from "./handshake.js";
import { log } from "./log.js";
import { Denied, principalName, schema, type Settings } from "./mapper.js";
import { readSettings } from "./settings.js";
import { readText } from "./text.js";

const maxMessage = 4 << 20; // what each side accepts
const shutdownTime = 1000; // ms; the host kills the process after 2 s

const instances = new Map<string, Settings>();

function describe(): object {
  return {
    manifest: {
      name: "node-email",
      version: "1.0.0",
      implementations: [{
        kind: "KIND_PRINCIPAL_MAPPER", type: "email", cacheable: true, settings_schema: Buffer.from(JSON.stringify(schema)),
      }],
    },
  };
}

interface InstanceSpec { instance_id: string; kind: string; type: string; settings: Buffer }

function configure(request: { instances: InstanceSpec[] }): object {
  return {
    results: request.instances.map(({ instance_id, kind, type, settings: raw }) => {
      if (kind !== "KIND_PRINCIPAL_MAPPER" || type !== "email") {
        return { instance_id, failure: { code: "CODE_UNSUPPORTED", message: `no ${kind} of the type ${type}` } };
      }
      if (instances.has(instance_id)) {
        return { instance_id, failure: { message: `there is an instance ${instance_id} already` } };
      }
      const read = readSettings(raw);
      if ("diagnostics" in read) {
        return { instance_id, diagnostics: read.diagnostics };
      }
      instances.set(instance_id, read.settings);
      return { instance_id };
    }),
  };
}

function release(request: { instance_ids: string[] }): object {
  request.instance_ids.forEach((id) => instances.delete(id));
  return {};
}

interface MapPrincipalRequest { call: { instance_id: string; request_id: string } | null; identity: { claims: Buffer } | null }

function mapPrincipal({ call, identity }: MapPrincipalRequest): object {
  const settings = call && instances.get(call.instance_id);
  if (!settings) {
    throw failure(`there is no instance ${call?.instance_id}`, "CODE_UNKNOWN_INSTANCE");
  }
  try {
    return { principal: { name: principalName(settings, readClaims(identity?.claims)) } };
  } catch (err) {
    if (err instanceof Denied) {
      log("debug", "denied", { request_id: call.request_id, reason: err.reason });
      return { denial: { reason: err.reason, detail: err.message, status: err.status } };
    }
    throw err;
  }
}

function readClaims(raw: Buffer | undefined): Record<string, unknown> {
  let claims: unknown;
  try {
    claims = JSON.parse(readText(raw ?? Buffer.alloc(0)));
  } catch {
    throw failure("the claims are no JSON");
  }
  if (typeof claims !== "object" || claims === null || Array.isArray(claims)) {
    throw failure("the claims are no JSON object");
  }
  return claims as Record<string, unknown>;
}

/** Makes a handler of a function. What it throws, but for a failure, is a fault of the plugin: logged, and told without its text. */
function unary<Q>(answerTo: (request: Q) => object) {
  return (call: ServerUnaryCall<Q, object>, done: sendUnaryData<object>): void => {
    let response: object;
    try {
      response = answerTo(call.request);
    } catch (err) {
      if (isFailure(err)) {
        return done(err);
      }
      log("error", "a call failed", { error: err instanceof Error ? (err.stack ?? err.message) : "unknown" });
      return done(failure("the plugin failed, see its log", "CODE_PANIC"));
    }
    done(null, response);
  };
}

async function main(): Promise<void> {
  const d = await door(process.env);
  const root = loadPackageDefinition(fromJSON(contract, { keepCase: true, longs: String, enums: String, defaults: true }));
  const service = (path: string) =>
    (path.split(".").reduce<unknown>((o, key) => (o as GrpcObject)[key], root) as ServiceClientConstructor).service;
  const server = new Server({ "grpc.max_receive_message_length": maxMessage, "grpc.max_send_message_length": maxMessage });
  const stdio = new Set<ServerWritableStream<object, object>>();

  server.addService(service("realmgate.plugin.v1.Plugin"), {
    Describe: unary(describe), Configure: unary(configure), Release: unary(release),
  });
  server.addService(service("realmgate.plugin.v1.PrincipalMapper"), { MapPrincipal: unary(mapPrincipal) });
  server.addService(service("grpc.health.v1.Health"), { Check: unary(() => ({ status: "SERVING" })) });
  server.addService(service("plugin.GRPCStdio"), {
    // The stream stays open, and empty: the log goes over the standard error.
    StreamStdio: (call: ServerWritableStream<object, object>) => {
      stdio.add(call);
      call.on("cancelled", () => stdio.delete(call));
    },
  });
  server.addService(service("plugin.GRPCController"), {
    Shutdown: (_: unknown, done: sendUnaryData<object>) => {
      done(null, {});
      stdio.forEach((call) => call.end());
      server.tryShutdown(() => process.exit(0));
      setTimeout(() => process.exit(0), shutdownTime).unref();
    },
  });

  await new Promise<void>((resolve, reject) =>
    server.bindAsync(`unix:${d.socket}`, d.credentials, (err) => (err ? reject(err) : resolve())));
  answer(d);
}

process.on("SIGINT", () => {}); // an interrupt at the terminal is for the daemon, which ends its plugins itself
main().catch((err: unknown) => {
  process.stderr.write(`node-principal-mapper: ${err instanceof Error ? err.message : err}\n`);
  process.exit(1);
});
