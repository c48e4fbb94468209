/**
 * The image configuration as a build reads and writes it: OCI's (image-spec config.md) with Docker's additions
 * (Healthcheck, Shell, OnBuild, ArgsEscaped…). Fields we do not know are kept as they are.
 */
import * as z from 'zod'
import { invalidArgument } from '#api/errors/errors.ts'
import type { Platform } from '#api/types/platform.ts'

const strings = z.array(z.string()).optional()
const names = z.record(z.string(), z.looseObject({})).optional()

const healthcheckSchema = z.looseObject({
  Test: strings,
  Interval: z.number().optional(),
  Timeout: z.number().optional(),
  StartPeriod: z.number().optional(),
  StartInterval: z.number().optional(),
  Retries: z.number().optional(),
})

const runSchema = z.looseObject({
  User: z.string().optional(),
  ExposedPorts: names,
  Env: strings,
  Entrypoint: strings,
  Cmd: strings,
  Volumes: names,
  WorkingDir: z.string().optional(),
  Labels: z.record(z.string(), z.string()).optional(),
  StopSignal: z.string().optional(),
  Healthcheck: healthcheckSchema.optional(),
  Shell: strings,
  OnBuild: strings,
})

const historySchema = z.looseObject({
  created: z.string().optional(),
  created_by: z.string().optional(),
  author: z.string().optional(),
  comment: z.string().optional(),
  empty_layer: z.boolean().optional(),
})

const imageSchema = z.looseObject({
  created: z.string().optional(),
  author: z.string().optional(),
  architecture: z.string().default(''),
  variant: z.string().optional(),
  os: z.string().default('linux'),
  config: runSchema.optional(),
  rootfs: z.object({ type: z.string().default('layers'), diff_ids: z.array(z.string()) }),
  history: z.array(historySchema).optional(),
})

export type ImageConfig = z.infer<typeof imageSchema>
export type RunConfig = z.infer<typeof runSchema>
export type HistoryEntry = z.infer<typeof historySchema>
export type Healthcheck = z.infer<typeof healthcheckSchema>

/** INVALID_ARGUMENT names the image and the field that is wrong. */
export function readImageConfig(image: string, blob: Uint8Array): ImageConfig {
  const parsed = imageSchema.safeParse(parseJson(image, blob))
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw invalidArgument(`configuration of image "${image}": ${issue?.path.join('.')}: ${issue?.message}`)
}

/** As Docker gives it to an image that is made of nothing. */
const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** What FROM an image starts with: Docker gives one that says nothing of its PATH the default. */
export function withDefaultPath(image: ImageConfig): ImageConfig {
  const { Env = [] } = image.config ?? {}
  if (Env.some(pair => pair.startsWith('PATH='))) return image
  return { ...image, config: { ...image.config, Env: [...Env, defaultPath] } }
}

/** What `FROM scratch` starts with. */
export function emptyImageConfig({ os, architecture, variant }: Platform): ImageConfig {
  return {
    ...{ os, architecture },
    ...(variant && { variant }),
    config: { Env: [defaultPath] },
    rootfs: { type: 'layers', diff_ids: [] },
    history: [],
  }
}

function parseJson(image: string, blob: Uint8Array): unknown {
  try {
    // Go writes empty slices and maps as null: the field is absent then.
    return JSON.parse(Buffer.from(blob).toString(), (_key, value) => (value === null ? undefined : value))
  } catch (cause) {
    throw invalidArgument(`configuration of image "${image}" is not JSON`, { cause })
  }
}
