/** The image configuration (OCI image spec, config.md; Docker's is the same with more fields): what a container inherits. */
import * as z from 'zod'
import { invalidArgument } from '#api/errors/errors.ts'

const strings = z
  .array(z.string())
  .nullish()
  .transform(value => value ?? [])

const schema = z.object({
  os: z.string().default('linux'),
  architecture: z.string().default(''),
  config: z
    .object({
      User: z.string().nullish(),
      Env: strings,
      Entrypoint: strings,
      Cmd: strings,
      WorkingDir: z.string().nullish(),
      StopSignal: z.string().nullish(),
      Labels: z.record(z.string(), z.string()).nullish(),
    })
    .nullish(),
  rootfs: z.object({ diff_ids: strings }),
})

/** What the core uses of an image's configuration. */
export interface ImageConfig {
  os: string
  architecture: string
  user: string
  env: string[]
  entrypoint: string[]
  cmd: string[]
  workingDir: string
  /** As "SIGTERM" or "15"; empty: SIGTERM. */
  stopSignal: string
  labels: Record<string, string>
  /** Uncompressed layers, lowest first. */
  diffIds: string[]
}

/** Reads a config blob. INVALID_ARGUMENT names the image and the field that is wrong. */
export function parseImageConfig(image: string, blob: Uint8Array): ImageConfig {
  const parsed = schema.safeParse(parseJson(image, blob))
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw invalidArgument(`configuration of image "${image}": ${issue?.path.join('.')}: ${issue?.message}`)
  }
  const { os, architecture, config, rootfs } = parsed.data
  return {
    os,
    architecture,
    user: config?.User ?? '',
    env: config?.Env ?? [],
    entrypoint: config?.Entrypoint ?? [],
    cmd: config?.Cmd ?? [],
    workingDir: config?.WorkingDir ?? '',
    stopSignal: config?.StopSignal ?? '',
    labels: config?.Labels ?? {},
    diffIds: rootfs.diff_ids,
  }
}

function parseJson(image: string, blob: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(blob).toString())
  } catch (cause) {
    throw invalidArgument(`configuration of image "${image}" is not JSON`, { cause })
  }
}
