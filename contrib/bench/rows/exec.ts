/** What is done to a container that is there: exec, stop, start. */
import type { Contestant, Group, Row } from '../row.ts'
import { DockerApi } from '../stage/docker-api.ts'
import type { DockerSide } from '../stage/docker-side.ts'
import { floor } from '../stage/floors.ts'
import { busybox } from '../stage/images.ts'
import type { Stage } from '../stage/stage.ts'

const name = 'bench-subject'

export const exec: Group = {
  id: 'exec',
  title: 'Exec, stop, start',
  quick: true,
  async open(stage, scope) {
    const sides = await stage.dockers('gantry', 'dockerd')
    for (const side of sides) {
      await side.ok('run', '--detach', '--name', name, busybox, 'sleep', '1000000')
      scope.defer(() => side.command('rm', '--force', name))
    }
    return [execByCommand(sides, stage), execByRequests(sides, scope), stop(sides), start(sides)]
  },
}

function execByCommand(sides: readonly DockerSide[], stage: Stage): Row {
  const byCommand = sides.map((side): Contestant => {
    return { name: side.name, side, work: () => side.command('exec', name, 'true') }
  })
  const contestants = [...byCommand, ...sides.slice(0, 1).map(side => join(stage, side))]
  return { name: '`docker exec CTR true`', rounds: 30, budget: { times: 2.7 }, quick: true, contestants }
}

/** Into the same container as ours goes. */
function join(stage: Stage, side: DockerSide): Contestant {
  return floor(stage, 'join', async () => [await side.ok('inspect', '--format', '{{.State.Pid}}', name)])
}

/** The server's side: no process but the container's. Detached would answer before it ends. */
function execByRequests(sides: readonly DockerSide[], scope: AsyncDisposableStack): Row {
  const contestants = sides.map((side): Contestant => {
    const api = scope.use(new DockerApi(side.socket))
    const work = async () => {
      const body = { AttachStdout: true, Cmd: ['true'] }
      const { Id } = await api.call<{ Id: string }>('POST', `/containers/${name}/exec`, body)
      await api.call('POST', `/exec/${Id}/start`, { Detach: false, Tty: false })
      return undefined
    }
    return { name: side.name, side, work }
  })
  return { name: 'the same by requests alone', rounds: 50, budget: { atMost: 8 }, contestants }
}

function stop(sides: readonly DockerSide[]): Row {
  const contestants = sides.map((side): Contestant => {
    return {
      ...{ name: side.name, side, work: () => side.command('stop', '--time', '0', name) },
      tidy: () => side.command('start', name),
    }
  })
  return { name: '`docker stop -t 0`', rounds: 20, budget: { times: 5 }, contestants }
}

function start(sides: readonly DockerSide[]): Row {
  const contestants = sides.map((side): Contestant => {
    return {
      ...{ name: side.name, side, prepare: () => side.command('stop', '--time', '0', name) },
      work: () => side.command('start', name),
    }
  })
  return { name: '`docker start`', rounds: 20, budget: { times: 5 }, contestants }
}
