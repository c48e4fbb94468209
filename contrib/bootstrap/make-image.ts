/** `make-image.ts FILE NAME`: the quickstart's image, an OCI layout tar: Debian's busybox serving one page on port 80. */
import { writeFile } from 'node:fs/promises'
import { busyboxLayer, layoutTar, makeImage } from '../../test/fixtures/make-image.ts'

const [file, name] = process.argv.slice(2)
if (file === undefined || name === undefined) throw new Error('usage: make-image.ts FILE NAME')

const page = '<h1>Hello from a container</h1>\nServed by busybox, run by Gantry.\n'
const image = makeImage({
  layers: [busyboxLayer(), [{ path: 'www/index.html', content: page }]],
  config: {
    Cmd: ['/bin/sh', '-c', 'echo serving /www on port 80; exec httpd -f -v -p 80 -h /www'],
    Env: ['PATH=/bin'],
    ExposedPorts: { '80/tcp': {} },
  },
})
await writeFile(file, layoutTar([{ image, name }]))
