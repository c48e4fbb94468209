/** The docker command and docker-compose, on Debian's dockerd and on ours: the same exit codes, the same output. */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { type CommandOutcome, runCommand } from '../../daemon/run-command.ts'
import { dockerCommand } from '../docker.ts'
import type { Engine } from './engine.ts'
import { isKnown, plainOutcome } from './outcomes.ts'
import { Pair, pairLacks } from './pair.ts'
import { scripts } from './scripts.ts'

const skip = pairLacks || (dockerCommand === undefined && 'no docker command (apt-get install docker.io)')

test('the docker command on both', { skip }, async t => {
  await using pair = await Pair.start()
  for (const { name, steps } of scripts)
    await t.test(name, async () => {
      for (const step of steps) await compareStep(pair, step)
    })
  await t.test('docker-compose', { skip: composeLacks }, async () => {
    await writeProject(pair)
    for (const step of composeSteps) await compareCompose(pair, step)
  })
})

async function compareStep(pair: Pair, step: readonly string[]): Promise<void> {
  const outcomes = await Promise.all(
    pair.engines.map(engine =>
      runCommand(['timeout', '60', dockerCommand ?? '', '--host', `unix://${engine.socket}`, ...step], {
        env: { DOCKER_CONFIG: join(pair.docker.folder, 'client') },
      }),
    ),
  )
  check(pair, `docker ${step.join(' ')}`, outcomes)
}

function check({ engines }: Pair, step: string, outcomes: CommandOutcome[]): void {
  const [theirs, ours] = outcomes.map((outcome, index) => plainOutcome(engines[index] as Engine, outcome))
  if (theirs === undefined || ours === undefined || isKnown(step, theirs, ours)) return
  assert.deepEqual({ step, ...ours }, { step, ...theirs })
}

const composeFile = '/usr/bin/docker-compose'
const composeLacks = (await runCommand(['test', '-x', composeFile])).code !== 0 && 'no docker-compose'

const project = `version: "2.4"
services:
  web: { image: "box:1", command: "sh -c 'echo up; sleep 1000'", networks: { front: { aliases: [site] } }, volumes: ["kept:/data"] }
  once: { image: "box:1", command: "sh -c 'exit 3'", depends_on: [web], networks: [front] }
networks: { front: {} }
volumes: { kept: {} }
`
const composeSteps = [
  ['up', '-d', 'web'],
  ['ps', '-q', '--filter', 'status=running'],
  ['logs', '--no-color', 'web'],
  ['exec', '-T', 'web', 'sh', '-c', 'exit 5'],
  ['run', '--rm', 'web', 'echo', 'once more'],
  // In the foreground compose 1 prints an exit once or twice, as it happens to see it.
  ['up', '-d', 'once'],
  ['stop', '-t', '0'],
  ['start', 'web'],
  ['restart', '-t', '0', 'web'],
  ['pause'],
  ['unpause'],
  ['kill'],
  ['down', '-v', '-t', '0'],
] as const

const projectFolder = ({ docker }: Pair) => join(docker.folder, 'project')

async function writeProject(pair: Pair): Promise<void> {
  await mkdir(projectFolder(pair))
  await writeFile(join(projectFolder(pair), 'docker-compose.yml'), project)
}

async function compareCompose(pair: Pair, step: readonly string[]): Promise<void> {
  const outcomes = await Promise.all(
    pair.engines.map(engine =>
      runCommand(
        [
          'timeout',
          '100',
          composeFile,
          '--project-directory',
          projectFolder(pair),
          '-f',
          join(projectFolder(pair), 'docker-compose.yml'),
          '-p',
          'both',
          ...step,
        ],
        {
          env: { DOCKER_HOST: `unix://${engine.socket}`, DOCKER_CONFIG: join(pair.docker.folder, 'client') },
        },
      ),
    ),
  )
  check(pair, `docker-compose ${step.join(' ')}`, outcomes)
}
