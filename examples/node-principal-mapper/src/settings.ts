// Settings are checked by the schema that the manifest shows; what is wrong is told at its place in the operator's file.
import { Ajv2020, type ErrorObject } from "ajv/dist/2020.js";
import { schema, type Settings } from "./mapper.js";
import { readText } from "./text.js";

export interface Diagnostic {
  severity: "SEVERITY_ERROR";
  path: string; // JSON pointer into the settings
  summary: string;
}

const check = new Ajv2020({ allErrors: true }).compile<Settings>(schema);

/** Gives the settings, or what is wrong with them. */
export function readSettings(raw: Buffer): { settings: Settings } | { diagnostics: Diagnostic[] } {
  let value: unknown;
  try {
    value = JSON.parse(readText(raw));
  } catch {
    return { diagnostics: [{ severity: "SEVERITY_ERROR", path: "", summary: "the settings are no JSON" }] };
  }
  if (check(value)) {
    return { settings: value };
  }
  return { diagnostics: (check.errors ?? []).slice(0, 100).map(diagnostic) };
}

function diagnostic(e: ErrorObject): Diagnostic {
  const at = (path: string, summary: string): Diagnostic => ({ severity: "SEVERITY_ERROR", path, summary });
  switch (e.keyword) {
    case "required":
      return at(e.instancePath, `${JSON.stringify(e.params.missingProperty)} is required`);
    case "additionalProperties": {
      const key = String(e.params.additionalProperty);
      return at(`${e.instancePath}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`, "there is no such key");
    }
  }
  return at(e.instancePath, e.message ?? "is wrong");
}
