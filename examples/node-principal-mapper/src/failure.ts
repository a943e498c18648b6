// A Failure says that the plugin is at fault, and travels as a detail of the gRPC status.
import { Metadata, status, type ServiceError } from "@grpc/grpc-js";
import protobuf from "protobufjs";

declare const CONTRACT: protobuf.INamespace; // put in by build.mjs

export const contract = CONTRACT;

const root = protobuf.Root.fromJSON(CONTRACT);
const Failure = root.lookupType("realmgate.plugin.v1.Failure");
const Status = root.lookupType("google.rpc.Status");
const Code = root.lookupEnum("realmgate.plugin.v1.Failure.Code").values;

/** Gives the error that a handler answers with. A code is one of Failure.Code. */
export function failure(message: string, code = "CODE_UNSPECIFIED"): ServiceError {
  const value = Failure.encode({ code: Code[code], message: message.slice(0, 1000) }).finish();
  const details = [{ type_url: "type.googleapis.com/realmgate.plugin.v1.Failure", value }];
  const metadata = new Metadata();
  const bytes = Status.encode({ code: status.INTERNAL, message, details }).finish();
  metadata.set("grpc-status-details-bin", Buffer.from(bytes));
  return Object.assign(new Error(message), { code: status.INTERNAL, details: message, metadata });
}

export function isFailure(err: unknown): err is ServiceError {
  return err instanceof Error && "metadata" in err && err.metadata instanceof Metadata;
}
