// Text is UTF-8, or an error.
import protobuf from "protobufjs";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function readText(raw: Uint8Array): string {
  return decoder.decode(raw);
}

// Of itself protobufjs takes a string that ends before its length does, and puts replacement characters for what is no UTF-8.
protobuf.BufferReader.prototype.string = function (this: protobuf.BufferReader): string {
  return readText(this.bytes());
};
