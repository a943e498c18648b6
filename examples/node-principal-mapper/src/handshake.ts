// The handshake with the host (hashicorp/go-plugin, protocol 1): what the environment says, and the line that answers it.
import { webcrypto } from "node:crypto";
import { writeSync } from "node:fs";
import { join } from "node:path";
import { ServerCredentials } from "@grpc/grpc-js";
import "reflect-metadata"; // before x509, which refuses to load without it
import { BasicConstraintsExtension, SubjectAlternativeNameExtension, X509CertificateGenerator } from "@peculiar/x509";

const cookie = "realmgate.plugin.v1";

export interface Door {
  socket: string;
  credentials: ServerCredentials;
  certificate: string; // unpadded base64 of the DER, for the host
}

/** Prepares what the server listens with, or throws: nothing but the host can start a plugin. */
export async function door(env: NodeJS.ProcessEnv): Promise<Door> {
  if (env.REALMGATE_PLUGIN !== cookie) {
    throw new Error("this is a plugin of Realmgate: it is started by the daemon, and does nothing by itself");
  }
  const { PLUGIN_UNIX_SOCKET_DIR: dir, PLUGIN_CLIENT_CERT: client } = env;
  if (!dir || !client) {
    throw new Error("the host gives neither PLUGIN_UNIX_SOCKET_DIR nor PLUGIN_CLIENT_CERT, or only one: both are needed");
  }
  const own = await ephemeral();
  // true: a client without the host's certificate is turned away.
  const credentials = ServerCredentials.createSsl(Buffer.from(client), [{ private_key: own.key, cert_chain: own.pem }], true);
  return { socket: join(dir, "plugin.sock"), credentials, certificate: own.der.toString("base64").replace(/=+$/, "") };
}

/** Tells the host where the server listens. Nothing else may ever be printed to the standard output. */
export function answer(d: Door): void {
  writeSync(1, `1|1|unix|${d.socket}|grpc|${d.certificate}\n`);
}

/** Makes a key and a certificate for the life of the process. The host trusts this very one, for the name localhost. */
async function ephemeral(): Promise<{ key: Buffer; pem: Buffer; der: Buffer }> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as CryptoKeyPair;
  const day = 24 * 60 * 60 * 1000;
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: "CN=localhost",
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 30 * 365 * day), // longer than any process lives
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new SubjectAlternativeNameExtension([{ type: "dns", value: "localhost" }]),
    ],
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  return {
    key: Buffer.from(`-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`),
    pem: Buffer.from(certificate.toString("pem")),
    der: Buffer.from(certificate.rawData),
  };
}
