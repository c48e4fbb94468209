/** What people type, as scripts that both engines are given. A step is the arguments of the docker command. */

export interface Script {
  name: string
  steps: readonly (readonly string[])[]
}

const words = (text: string): string[] => text.split(' ')
/** One step a line; words are parted by blanks, `'…'` keeps them. */
const lines = (text: string): string[][] =>
  text
    .trim()
    .split('\n')
    .map(line => [...line.trim().matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? ''))

export const scripts: readonly Script[] = [
  {
    name: 'life',
    steps: lines(`
      create --name aa box:1 sleep 1000
      ps -a --format '{{.Names}} {{.Image}} {{.Command}} {{.State}}'
      start aa
      ps --format '{{.Names}} {{.State}}'
      pause aa
      inspect -f '{{.State.Status}} {{.State.Paused}} {{.State.Running}}' aa
      exec aa true
      unpause aa
      restart -t 0 aa
      stop -t 0 aa
      stop -t 0 aa
      inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}' aa
      start aa
      kill aa
      wait aa
      kill aa
      rename aa bb
      rm aa
      rm bb
      rm bb`),
  },
  {
    name: 'run',
    steps: lines(`
      run --rm box:1 echo hi
      run --rm box:1 sh -c 'echo out; echo err >&2; exit 3'
      run --rm -e A=b -w /tmp -u 1000:1000 box:1 sh -c 'id -u; id -g; pwd; echo $A'
      run --rm --hostname h box:1 hostname
      run --rm --read-only box:1 touch /x
      run --rm --cap-drop ALL --network none box:1 sh -c 'ls /sys/class/net'
      run --rm --tmpfs /t:size=64k box:1 sh -c 'mount | grep -c /t'
      run --rm nosuch:1 true
      run --rm --memory 1m box:1 true
      run --rm --entrypoint echo box:1 in its place
      run --rm --name x/y box:1 true
      run --rm -v relative:/v:zz box:1 true
      run --rm --env-file /nosuch box:1 true
      run --rm full:1 echo ok
      run -d --name dd box:1 sh -c 'exit 7'
      wait dd
      logs dd
      rm dd`),
  },
  {
    name: 'output',
    steps: lines(`
      run --name ll box:1 sh -c 'echo one; echo two; echo three'
      logs ll
      logs --tail 1 ll
      logs --tail 0 ll
      diff ll
      cp ll:/nosuch /tmp/never
      top ll
      port ll
      commit -m words -c 'ENV X=y' ll made:1
      inspect -f '{{.Comment}} {{.Config.Env}} {{.Config.Cmd}}' made:1
      history --format '{{.CreatedBy}} {{.Comment}}' made:1
      rm ll
      rmi made:1`),
  },
  {
    name: 'exec',
    steps: lines(`
      run -d --name ee box:1 sleep 1000
      exec ee echo in
      exec ee sh -c 'exit 9'
      exec -e V=w -w /tmp ee sh -c 'pwd; echo $V'
      exec -u 1000 ee id -u
      exec ee nosuchcommand
      exec -i ee cat
      exec nosuch true
      top ee -o comm
      stats --no-stream --format '{{.Name}}' ee
      update --memory 64m --memory-swap 64m ee
      inspect -f '{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}' ee
      rm -f ee`),
  },
  {
    name: 'images',
    steps: lines(`
      images --format '{{.Repository}} {{.Tag}}' box
      tag box:1 other:2
      images -q --no-trunc other
      rmi other:2
      rmi other:2
      tag nosuch:1 x:1
      inspect -f '{{.Os}} {{.Architecture}} {{.Config.Cmd}} {{.Config.Env}}' box:1
      inspect -f '{{json .Config.ExposedPorts}} {{json .Config.Volumes}} {{json .Config.Labels}}' full:1
      image ls --filter label=maker --format '{{.Repository}}'
      create --name holds box:1
      rmi box:1
      rm holds
      save nosuch:1`),
  },
  {
    name: 'networks and volumes',
    steps: lines(`
      network create --subnet 10.91.0.0/24 --label a=b nn
      network inspect -f '{{.Driver}} {{.Internal}} {{.Labels}} {{(index .IPAM.Config 0).Subnet}}' nn
      network create nn
      run -d --name pp --network nn --ip 10.91.0.7 --network-alias web box:1 sleep 1000
      inspect -f '{{.NetworkSettings.Networks.nn.IPAddress}} {{.NetworkSettings.Networks.nn.IPPrefixLen}}' pp
      run --rm --network nn box:1 sh -c 'ping -c 1 -W 5 -q web | grep received'
      network disconnect nn pp
      network connect nn pp
      network rm nn
      rm -f pp
      network rm nn
      network rm nn
      volume create --label a=b vv
      volume create vv
      run --rm -v vv:/data full:1 sh -c 'echo more >> /data/file'
      run --rm -v vv:/data box:1 cat /data/file
      volume inspect -f '{{.Driver}} {{.Labels}} {{.Scope}}' vv
      create --name uu -v vv:/data box:1
      volume rm vv
      inspect -f '{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}}{{end}}' uu
      rm uu
      volume rm vv
      volume rm vv
      volume ls -q`),
  },
  {
    name: 'what is not there',
    steps: lines(`
      inspect nosuch
      start nosuch
      logs nosuch
      volume inspect nosuch
      network inspect nosuch
      image inspect nosuch
      rm -f nosuch
      ps --filter status=odd
      ps --filter odd=1
      swarm leave
      node ls
      service ls
      plugin ls
      container prune -f
      volume prune -f
      network prune -f
      version --format '{{.Server.Os}} {{.Server.Arch}}'`),
  },
  {
    name: 'all of inspect',
    steps: [
      words('create --name ii -p 8080:80 --restart on-failure:3 --label a=b full:1'),
      words('inspect ii'),
      words('rm -v ii'),
    ],
  },
]
