// Makes one file of the plugin, its modules and the contract, so that one digest pins all of it.
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import protobuf from "protobufjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const contract = process.env.REALMGATE_PROTO ?? here + "../../proto";

const root = new protobuf.Root();
root.resolvePath = (_, target) => (target.startsWith("/") ? target : `${contract}/${target}`);
await root.load(
  [
    ...["goplugin", "health", "status"].map((name) => `${here}proto/${name}.proto`),
    ...["plugin", "kinds"].map((name) => `realmgate/plugin/v1/${name}.proto`),
  ],
  { keepCase: true },
);

await build({
  entryPoints: [here + "src/main.ts"],
  outfile: here + "dist/plugin.cjs",
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
  define: { CONTRACT: JSON.stringify(root.toJSON()) },
});
