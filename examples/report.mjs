// Gap and bounds of a net: node report.mjs MODEL --data FILE ...
import { spawnSync } from "node:child_process";

const { stdout, error } = spawnSync("onnxbound", ["analyze", ...process.argv.slice(2), "--json", "--quiet"], {
  encoding: "utf8",
  maxBuffer: 1 << 28,
});
if (error) throw error;
const document = JSON.parse(stdout);
if (document.schema === "onnxbound.error/1") {
  console.error(`${document.code}: ${document.message}`);
  for (const { where, why, do: what } of document.problems) console.error(`  ${where}: ${why}; ${what}`);
  process.exit(document.exit_code);
}
const { data, bounds } = document;
const gap = data.test_error === null ? "unknown without --test" : (data.test_error - data.train_error).toFixed(4);
console.log(`gap: ${gap}`);
for (const { name, kind, value, vacuous } of bounds.filter((bound) => bound.kind !== "as_plotted")) {
  console.log(`${name}: ${value === null ? "does not apply" : value.toPrecision(3)}${vacuous ? " (vacuous)" : ""}`);
}
