/** Reads `cargo test --no-run --message-format=json` and prints the paths of the test programs. */
import { createInterface } from 'node:readline'

for await (const line of createInterface({ input: process.stdin })) {
  if (!line.startsWith('{')) continue
  const message = JSON.parse(line) as { executable?: string | null; profile?: { test?: boolean } }
  if (message.executable && message.profile?.test) console.log(message.executable)
}
