/** `gctr containers command`: the line that it prints is run, and makes the same container again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runCommand } from '../daemon/run-command.ts'
import { Docker, dockerCommand } from './docker.ts'

const skip = dockerCommand === undefined ? 'no docker command (apt-get install docker.io)' : false
const image = 'busybox:test'

interface Inspected {
  Id: string
  Path: string
  Args: string[]
  Config: Record<string, unknown> & { Env: string[] }
  HostConfig: Record<string, unknown>
  Mounts: { Destination: string; Type: string; RW: boolean }[]
  NetworkSettings: { Networks: Record<string, { Aliases: string[] | null; IPAMConfig: unknown }> }
}

/** Without what every container has of its own. */
function comparable({ Id, Path, Args, Config, HostConfig, Mounts, NetworkSettings }: Inspected) {
  const isOwn = (text: unknown) => text === Id.slice(0, 12)
  return {
    ...{ Path, Args, HostConfig },
    // docker run gives the variables in any order: it keeps them in a map.
    Config: { ...Config, Env: Config.Env.toSorted(), Hostname: isOwn(Config.Hostname) ? '' : Config.Hostname },
    Mounts: Mounts.map(({ Destination, Type, RW }) => ({ Destination, Type, RW })),
    Networks: Object.entries(NetworkSettings.Networks).map(([name, { Aliases, IPAMConfig }]) => ({
      ...{ name, IPAMConfig },
      Aliases: (Aliases ?? []).filter(alias => !isOwn(alias)),
    })),
  }
}

const runs: Record<string, string[]> = {
  plain: [image, 'sleep', '1000'],
  'words that shells read': ['-e', 'A=it\'s "$HOME" & co', '--label', 'x=', image, 'sh', '-c', 'echo a b; sleep 1000'],
  'mounts and limits': [
    ...['-v', 'v1:/one:ro', '--mount', 'type=tmpfs,dst=/two,tmpfs-size=1048576', '--tmpfs', '/three:size=1m'],
    ...['--mount', `type=image,src=${image},dst=/four,image-subpath=etc`, '-v', '/five', '--read-only'],
    ...['-m', '64m', '--cpus', '0.5', '--pids-limit', '50', '--ulimit', 'nofile=100:200', '--cap-drop', 'ALL'],
    ...['--cap-add', 'CHOWN', '--security-opt', 'no-new-privileges', '--user', 'nobody', '--workdir', '/tmp'],
    ...['--restart', 'on-failure:3', '--stop-signal', 'SIGKILL', '--log-opt', 'max-size=1m', image, 'sleep', '1000'],
  ],
  'networks, ports and health': [
    ...['--network', 'name=n1,alias=web,ip=10.213.9.7', '-p', '127.0.0.1::80', '-p', '81/udp', '--expose', '82'],
    ...['--hostname', 'host', '--add-host', 'other:10.0.0.1', '--dns', '10.0.0.2', '--health-cmd', 'true || false'],
    ...['--health-interval', '90s', '--entrypoint', 'sleep', image, '1000'],
  ],
}

test('the docker run line of a container makes it again', { skip }, async t => {
  await using docker = await Docker.start()
  await docker.importBusybox(image)
  const ok = docker.ok.bind(docker)
  await ok('network', 'create', '--subnet', '10.213.9.0/24', 'n1')
  const inspect = async (): Promise<Inspected> => JSON.parse(await ok('inspect', 'c1'))[0]
  for (const [what, flags] of Object.entries(runs))
    await t.test(what, async st => {
      st.after(() => docker.run(['rm', '-f', '-v', 'c1']))
      await ok('run', '-d', '--name', 'c1', ...flags)
      const before = await inspect()
      const { code, stdout, stderr } = await docker.daemon.run('-n', 'moby', 'containers', 'command', 'c1')
      assert.equal(code, 0, stderr)
      await ok('rm', '-f', '-v', 'c1')
      const env = { DOCKER_HOST: `unix://${docker.socket}`, DOCKER_CONFIG: docker.folder }
      const again = await runCommand(['sh', '-c', stdout.replace(/^docker /, `${dockerCommand} `)], { env })
      assert.equal(again.code, 0, `${stdout}${again.stderr}`)
      const after = await inspect()
      assert.notEqual(after.Id, before.Id)
      assert.deepEqual(comparable(after), comparable(before), stdout)
    })
  await ok('network', 'rm', 'n1')
})
