/** Dockerfiles as people write them, on a Debian base: `debian:1`, and `node:1`, which holds Node alone. */
import { join } from 'node:path'
import type { Recipe } from './recipe.ts'

/** A recipe whose image is run, too. */
export interface RunRecipe extends Recipe {
  /** Words after the image. */
  readonly command?: readonly string[]
  /** On standard output. */
  readonly prints: RegExp
}

const debian = 'FROM debian:1'
/** As npm installed it from the registry. */
const commander = join(import.meta.dirname, '../../../node_modules/commander')
/** Accounts without the day on which they were made: two builds at midnight are two days. */
const addUser = 'RUN SOURCE_DATE_EPOCH=0 useradd --system --uid 900 --home-dir /srv/app app'

const python: RunRecipe = {
  name: 'python-app',
  dockerfile: [
    debian,
    'ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1',
    'WORKDIR /srv/app',
    addUser,
    'COPY --chown=app:app app ./app',
    'ARG RELEASE=dev',
    'RUN python3 -m compileall -q --invalidation-mode unchecked-hash app && echo "$RELEASE" > release',
    'USER app',
    'EXPOSE 8000',
    'HEALTHCHECK --interval=5s --timeout=2s CMD ["python3", "-m", "app", "--check"]',
    'CMD ["python3", "-m", "app"]',
  ],
  files: {
    'app/__init__.py': '',
    'app/greeting.py': 'def greet(name):\n    return f"hello {name}"\n',
    'app/__main__.py':
      'import os\nfrom .greeting import greet\nprint(greet(open("release").read().strip()), os.getuid())\n',
  },
  flags: ['--build-arg', 'RELEASE=1.2'],
  prints: /^hello 1\.2 900\n$/,
}

const node: RunRecipe = {
  name: 'node-app',
  dockerfile: [
    debian,
    'COPY --from=node:1 /usr/local/bin/node /usr/local/bin/node',
    'ENV NODE_ENV=production',
    'WORKDIR /srv/app',
    'COPY package.json ./',
    'COPY node_modules ./node_modules',
    'COPY . .',
    'RUN node app.js --version > version && ln -s /srv/app/app.js /usr/local/bin/app',
    'ENTRYPOINT ["node", "app.js"]',
    'CMD ["world"]',
  ],
  files: {
    '.dockerignore': '**/*.md\nDockerfile\n',
    'package.json': '{"name":"app","version":"3.1.4","dependencies":{"commander":"*"}}',
    'app.js': `const { program } = require('commander')\nprogram.version(require('./package.json').version).argument('<who>').action(who => console.log('hello', who)).parse()\n`,
    'README.md': 'not in the image',
  },
  folders: { 'node_modules/commander': commander },
  prints: /^hello world\n$/,
}

const c: RunRecipe = {
  name: 'c-program',
  dockerfile: [
    `${debian} AS build`,
    'WORKDIR /src',
    'COPY include include',
    'COPY *.c ./',
    'RUN mkdir /out && tcc -Iinclude -o /out/hello main.c greet.c && /out/hello build',
    debian,
    'COPY --from=build /out/hello /usr/local/bin/',
    'RUN rm -rf /usr/include /usr/lib/x86_64-linux-gnu/tcc && hello image > /greeting',
    'USER nobody',
    'ENTRYPOINT ["hello"]',
    'CMD ["container"]',
  ],
  files: {
    'include/greet.h': 'void greet(const char *who);\n',
    'greet.c': '#include <stdio.h>\n#include "greet.h"\nvoid greet(const char *who) { printf("hello %s\\n", who); }\n',
    'main.c':
      '#include "greet.h"\nint main(int count, char **words) { greet(count > 1 ? words[1] : "you"); return 0; }\n',
  },
  prints: /^hello container\n$/,
}

const nginx: RunRecipe = {
  name: 'nginx',
  dockerfile: [
    debian,
    'RUN rm -f /etc/nginx/sites-enabled/default \\',
    ' && ln -sf /dev/stdout /var/log/nginx/access.log \\',
    ' && ln -sf /dev/stderr /var/log/nginx/error.log',
    'COPY nginx.conf /etc/nginx/nginx.conf',
    'COPY --chown=www-data:www-data html/ /srv/html/',
    'RUN nginx -t',
    'VOLUME /var/cache/nginx',
    'EXPOSE 8080/tcp',
    'STOPSIGNAL SIGQUIT',
    'CMD ["nginx", "-g", "daemon off;"]',
  ],
  files: {
    'nginx.conf':
      'user www-data;\npid /run/nginx.pid;\nevents {}\nhttp {\n  server {\n    listen 8080;\n    root /srv/html;\n  }\n}\n',
    'html/index.html': '<h1>hello</h1>\n',
    'html/css/site.css': 'h1 { color: green }\n',
  },
  command: ['sh', '-c', 'nginx -t 2>/dev/null && cat /srv/html/index.html'],
  prints: /^<h1>hello<\/h1>\n$/,
}

export const debianRecipes: readonly RunRecipe[] = [python, node, c, nginx]
