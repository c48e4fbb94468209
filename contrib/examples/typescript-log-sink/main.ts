/** A log sink: what containers write, as lines of JSON in one file. */
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { defineLogSink, type LogLine, type LogSink } from '#sdk/define-log-sink.ts'
import { serve } from '#sdk/serve.ts'

interface Config {
  /** Default: `containers.jsonl` in the plugin's root. */
  file?: string
}

class JsonLines implements LogSink {
  readonly #file: FileHandle

  constructor(file: FileHandle) {
    this.#file = file
  }

  async write(lines: readonly LogLine[]): Promise<void> {
    await this.#file.appendFile(lines.map(line => `${JSON.stringify(line)}\n`).join(''))
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}

await serve(
  defineLogSink<Config>({
    id: 'jsonl',
    version: '1.0.0',
    create: async ({ config, root }) =>
      new JsonLines(await open(config.file ?? join(root, 'containers.jsonl'), 'a', 0o600)),
  }),
)
