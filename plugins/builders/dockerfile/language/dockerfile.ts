/**
 * A Dockerfile as data: what the text says, with nothing expanded and nothing looked up.
 *
 * ```
 * Dockerfile = global ARGs, then stages
 * Stage      = a FROM and the instructions after it, up to the next FROM
 * ```
 *
 * Words keep their quotes and variables where the language expands them at build time (`expand.ts` does); they are
 * final where it does not (RUN, CMD, ENTRYPOINT and SHELL are the shell's and the kernel's to read). The language:
 * https://docs.docker.com/reference/dockerfile/
 */
import type { Directives } from './directives.ts'
import type { Heredoc } from './heredoc.ts'
import type { Location } from './location.ts'

export interface Dockerfile {
  readonly directives: Directives
  /** ARGs before the first FROM: for FROM lines, and for stages that declare them again. */
  readonly globalArgs: readonly ArgInstruction[]
  readonly stages: readonly Stage[]
  /** Its lines, for messages. */
  readonly lines: readonly string[]
  /** What it is called in messages. */
  readonly file: string
}

export interface Stage {
  /** Position from 0: `COPY --from=0` means it. */
  readonly index: number
  /** Its `AS` name, in lower case; undefined without one. */
  readonly name: string | undefined
  /** Image or stage, to be expanded; `scratch` is the empty one. */
  readonly base: string
  /** `--platform`, to be expanded. */
  readonly platform: string | undefined
  readonly instructions: readonly Instruction[]
  readonly location: Location
  /** The FROM as written. */
  readonly text: string
}

interface Base {
  readonly location: Location
  /** As written, continuations joined; what history shows. */
  readonly text: string
}

/** Exec form: the words of a JSON array; shell form: one line for the shell, or its here-documents. */
export type CommandForm =
  | { readonly form: 'exec'; readonly args: readonly string[] }
  | { readonly form: 'shell'; readonly line: string; readonly heredocs: readonly Heredoc[] }

export interface KeyValue {
  readonly key: string
  readonly value: string
}

export interface ArgInstruction extends Base {
  readonly keyword: 'ARG'
  readonly args: readonly { readonly name: string; readonly value: string | undefined }[]
}

export interface EnvInstruction extends Base {
  readonly keyword: 'ENV' | 'LABEL'
  readonly pairs: readonly KeyValue[]
  /** `ENV key the rest`, without `=`: old, and warned of. */
  readonly legacy: boolean
}

export interface RunInstruction extends Base {
  readonly keyword: 'RUN'
  readonly command: CommandForm
  /** Each `--mount`, to be expanded and read by `mount.ts`. */
  readonly mounts: readonly string[]
  readonly network: string | undefined
  readonly security: string | undefined
}

export interface CommandInstruction extends Base {
  readonly keyword: 'CMD' | 'ENTRYPOINT'
  readonly command: CommandForm
}

export interface ShellInstruction extends Base {
  readonly keyword: 'SHELL'
  readonly shell: readonly string[]
}

export interface CopyInstruction extends Base {
  readonly keyword: 'COPY' | 'ADD'
  readonly sources: readonly string[]
  readonly destination: string
  /** Files written in the Dockerfile, among the sources by their name. */
  readonly heredocs: readonly Heredoc[]
  readonly from: string | undefined
  readonly chown: string | undefined
  readonly chmod: string | undefined
  readonly link: boolean
  readonly parents: boolean
  readonly exclude: readonly string[]
  /** ADD only: digest a remote file must have. */
  readonly checksum: string | undefined
  /** ADD only: keep `.git` of a repository. */
  readonly keepGitDir: boolean | undefined
  /** ADD only: whether archives are unpacked; undefined: local ones are, remote ones are not. */
  readonly unpack: boolean | undefined
}

/** Instructions with words and nothing else. */
export interface WordsInstruction extends Base {
  readonly keyword: 'EXPOSE' | 'VOLUME'
  readonly words: readonly string[]
}

/** Instructions with one value. */
export interface ValueInstruction extends Base {
  readonly keyword: 'WORKDIR' | 'USER' | 'STOPSIGNAL' | 'MAINTAINER'
  readonly value: string
}

export interface HealthcheckInstruction extends Base {
  readonly keyword: 'HEALTHCHECK'
  /** Undefined for NONE, which turns off what the base image has. */
  readonly command: CommandForm | undefined
  /** Go durations as written (`30s`, `1m30s`); undefined: the default. */
  readonly interval: string | undefined
  readonly timeout: string | undefined
  readonly startPeriod: string | undefined
  readonly startInterval: string | undefined
  readonly retries: string | undefined
}

export interface OnbuildInstruction extends Base {
  readonly keyword: 'ONBUILD'
  /** The instruction as the image keeps it, here-documents included. */
  readonly trigger: string
}

export type Instruction =
  | ArgInstruction
  | EnvInstruction
  | RunInstruction
  | CommandInstruction
  | ShellInstruction
  | CopyInstruction
  | WordsInstruction
  | ValueInstruction
  | HealthcheckInstruction
  | OnbuildInstruction
