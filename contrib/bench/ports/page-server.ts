/** A web server in a container: `page-server.ts PORT`. Connections stay open for those who ask for more than one page. */
import { createServer } from 'node:http'

createServer((_, answer) => answer.end('page')).listen(Number(process.argv[2]), '0.0.0.0')
