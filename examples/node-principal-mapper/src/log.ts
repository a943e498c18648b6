// One JSON object a line on the standard error: the host puts it into its own log, at its level.
export function log(level: "debug" | "info" | "warn" | "error", message: string, fields: Record<string, unknown> = {}): void {
  const line = { ...fields, "@level": level, "@message": message, "@timestamp": new Date().toISOString() };
  process.stderr.write(JSON.stringify(line) + "\n");
}
