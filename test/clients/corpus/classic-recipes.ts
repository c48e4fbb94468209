// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Dockerfiles have variables of that form
/** What the classic builder can read too: the image must be the same there, file by file. */
import { box, type Recipe } from './recipe.ts'

const tree = { 'a.txt': 'A\n', 'b.txt': 'B\n', 'dir/c': 'C\n', 'dir/sub/d': 'D\n', 'dir/link': '-> c', 'empty/': '' }

const copying: readonly Recipe[] = [
  { name: 'copy-file', dockerfile: [box, 'COPY a.txt /x'], files: tree },
  { name: 'copy-file-to-missing-directory', dockerfile: [box, 'COPY a.txt /new/deep/'], files: tree },
  { name: 'copy-several', dockerfile: [box, 'COPY a.txt b.txt /many/'], files: tree },
  { name: 'copy-directory', dockerfile: [box, 'COPY dir /d'], files: tree },
  { name: 'copy-directory-into-existing', dockerfile: [box, 'RUN mkdir -m 700 /d', 'COPY dir /d'], files: tree },
  { name: 'copy-everything', dockerfile: [box, 'COPY . /all'], files: tree },
  { name: 'copy-wildcard', dockerfile: [box, 'COPY *.txt d* /w/'], files: tree },
  { name: 'copy-one-character', dockerfile: [box, 'COPY ?.txt /w/'], files: tree },
  { name: 'copy-character-class', dockerfile: [box, 'COPY [a].txt /w/'], files: tree },
  { name: 'copy-chown-numbers', dockerfile: [box, 'COPY --chown=12:34 dir /d'], files: tree },
  { name: 'copy-exec-form', dockerfile: [box, 'COPY ["a.txt", "/with blank"]'], files: tree },
  { name: 'copy-over-file', dockerfile: [box, 'RUN echo old > /x', 'COPY a.txt /x'], files: tree },
  { name: 'copy-relative', dockerfile: [box, 'WORKDIR /w', 'COPY a.txt ./', 'COPY b.txt sub/'], files: tree },
  {
    name: 'copy-from-stage',
    dockerfile: [`${box} AS one`, 'RUN mkdir /o && echo 1 > /o/f', box, 'COPY --from=one /o /p'],
  },
  { name: 'copy-from-number', dockerfile: [box, 'RUN echo 1 > /f', box, 'COPY --from=0 /f /g'] },
  { name: 'copy-from-image', dockerfile: [box, 'COPY --from=full:1 /data/file /f'] },
  {
    name: 'copy-from-keeps-owners',
    dockerfile: [`${box} AS o`, 'RUN echo > /f && chown 7:8 /f', box, 'COPY --from=o /f /f'],
  },
  {
    name: 'copy-into-linked-directory',
    dockerfile: [box, 'RUN mkdir /real && ln -s real /l', 'COPY a.txt /l/'],
    files: tree,
  },
  { name: 'copy-empty-directory', dockerfile: [box, 'COPY empty /e'], files: tree },
  { name: 'copy-variable', dockerfile: [box, 'ENV WHERE=/v', 'ARG WHAT=a.txt', 'COPY $WHAT ${WHERE}/'], files: tree },
  { name: 'add-file', dockerfile: [box, 'ADD a.txt /x'], files: tree },
  { name: 'add-directory', dockerfile: [box, 'ADD dir /d/'], files: tree },
  {
    name: 'ignore-patterns',
    dockerfile: [box, 'COPY . /all'],
    files: { ...tree, '.dockerignore': '# comment\n*.txt\n!b.txt\n**/sub\n\ndir/l*\n', 'dir/x.txt': 'X' },
  },
  {
    name: 'ignore-everything-but',
    dockerfile: [box, 'COPY . /all'],
    files: { ...tree, '.dockerignore': '*\n!dir/sub\n' },
  },
]

const running: readonly Recipe[] = [
  { name: 'run-shell', dockerfile: [box, 'RUN echo "$PATH" > /f && pwd >> /f'] },
  { name: 'run-exec', dockerfile: [box, 'RUN ["/bin/sh", "-c", "echo $0 > /f", "zero"]'] },
  { name: 'run-continuation', dockerfile: [box, 'RUN echo a \\', '  # comment', '  b > /f \\', '  && echo c >> /f'] },
  {
    name: 'run-removes',
    dockerfile: [box, 'RUN mkdir /d && echo > /d/a && echo > /d/b', 'RUN rm /d/a', 'RUN rm -r /d'],
  },
  {
    name: 'run-replaces-directory',
    dockerfile: [box, 'RUN mkdir -p /d/e && echo 1 > /d/e/f', 'RUN rm -r /d && mkdir /d && echo 2 > /d/g'],
  },
  { name: 'run-links', dockerfile: [box, 'RUN echo 1 > /a && ln /a /b && ln -s a /c && mkfifo /p'] },
  { name: 'run-modes', dockerfile: [box, 'RUN echo > /s && chmod 4755 /s && mkdir -m 1777 /t && chown 5:6 /s'] },
  {
    name: 'run-user',
    dockerfile: [box, 'RUN chmod 777 /tmp', 'USER 1000:1001', 'RUN id -u > /tmp/u && id -g >> /tmp/u'],
  },
  { name: 'run-args', dockerfile: [box, 'ARG A=1', 'ARG B', 'RUN echo "$A $B" > /f'], flags: ['--build-arg', 'B=two'] },
  { name: 'run-env-before-arg', dockerfile: [box, 'ENV A=env', 'ARG A=arg', 'RUN echo $A > /f'] },
  {
    // Where the base lacks what a container's mounts lie on, our layer has their directory.
    ...{ name: 'run-nothing', dockerfile: [box, 'COPY etc /etc', 'RUN true', 'RUN true'] },
    files: { 'etc/hosts': '', 'etc/hostname': '', 'etc/resolv.conf': '' },
  },
  { name: 'run-shell-changed', dockerfile: [box, 'SHELL ["/bin/sh", "-ec"]', 'RUN echo $- > /f', 'CMD run'] },
  { name: 'run-renames-directory', dockerfile: [box, 'RUN mkdir /d && echo 1 > /d/f', 'RUN mv /d /e'] },
]

const configuring: readonly Recipe[] = [
  {
    name: 'env-forms',
    dockerfile: [box, 'ENV A=1 B="two words" C=three\\ words', 'ENV OLD the rest of it', 'ENV D=$A-${B}'],
  },
  { name: 'env-modifiers', dockerfile: [box, 'ENV A=${NONE:-default} B=${PATH:+set} C=\\$A', "ENV E='$A'"] },
  { name: 'label-forms', dockerfile: [box, 'LABEL a=1 "b c"="d e"', 'LABEL multi="one \\', 'two"'] },
  { name: 'cmd-shell', dockerfile: [box, 'CMD echo "$HOME"'] },
  { name: 'cmd-exec', dockerfile: [box, 'CMD ["echo", "a b"]'] },
  { name: 'entrypoint-clears-cmd', dockerfile: ['FROM full:1', 'ENTRYPOINT ["/bin/sh"]'] },
  { name: 'entrypoint-and-cmd', dockerfile: [box, 'CMD ["x"]', 'ENTRYPOINT ["/bin/echo"]'] },
  { name: 'entrypoint-shell', dockerfile: [box, 'ENTRYPOINT exec top'] },
  { name: 'expose', dockerfile: [box, 'ARG P=81', 'EXPOSE 80 443/tcp 53/udp $P', 'EXPOSE 8000-8002'] },
  { name: 'volume', dockerfile: [box, 'VOLUME /a /b', 'VOLUME ["/c d"]'] },
  { name: 'volume-content', dockerfile: [box, 'RUN mkdir /v && echo 1 > /v/f', 'VOLUME /v'] },
  { name: 'workdir', dockerfile: [box, 'WORKDIR /a', 'WORKDIR b', 'ENV W=/c', 'WORKDIR $W/d', 'RUN pwd > /f'] },
  { name: 'workdir-existing', dockerfile: [box, 'RUN mkdir -m 700 /w', 'WORKDIR /w'] },
  { name: 'user', dockerfile: [box, 'ARG U=nobody', 'USER $U:12'] },
  { name: 'stopsignal', dockerfile: [box, 'STOPSIGNAL SIGUSR1'] },
  { name: 'healthcheck', dockerfile: [box, 'HEALTHCHECK --interval=5m --timeout=3s --retries=2 CMD true || exit 1'] },
  { name: 'healthcheck-exec', dockerfile: [box, 'HEALTHCHECK --start-period=1s CMD ["true"]'] },
  { name: 'healthcheck-none', dockerfile: [box, 'HEALTHCHECK CMD true', 'HEALTHCHECK NONE'] },
  { name: 'onbuild', dockerfile: [box, 'ONBUILD COPY . /src', 'ONBUILD RUN echo'] },
  { name: 'maintainer', dockerfile: [box, 'MAINTAINER Some Body <some@body.example>'] },
  { name: 'flags-label', dockerfile: [box, 'LABEL a=1'], flags: ['--label', 'b=2'] },
  { name: 'inherits', dockerfile: ['FROM full:1', 'ENV MORE=1', 'LABEL more=1', 'EXPOSE 90', 'VOLUME /more'] },
  { name: 'lower-case', dockerfile: ['from box:1', 'env a=b', 'run echo > /f'] },
  { name: 'escape', dockerfile: ['# escape=`', box, 'ENV A=one` two', 'RUN echo a `', ' b > /f'] },
]

const staging: readonly Recipe[] = [
  { name: 'arg-before-from', dockerfile: ['ARG B=box', 'ARG T=1', 'FROM $B:${T}', 'ARG B', 'RUN echo "$B-$T" > /f'] },
  {
    name: 'target',
    dockerfile: [`${box} AS one`, 'RUN echo 1 > /f', 'FROM one AS two', 'RUN echo 2 > /f'],
    flags: ['--target', 'one'],
  },
  { name: 'stage-of-stage', dockerfile: [`${box} AS one`, 'ENV A=1', 'FROM one', 'RUN echo $A > /f'] },
  {
    name: 'scratch',
    dockerfile: [
      `${box} AS b`,
      'FROM scratch',
      'COPY --from=b /bin/busybox /bin/busybox',
      'ENTRYPOINT ["/bin/busybox"]',
    ],
  },
  {
    name: 'scratch-run',
    dockerfile: ['FROM scratch', 'COPY --from=box:1 /bin /bin', 'RUN ["/bin/busybox", "touch", "/f"]'],
  },
  { name: 'only-from', dockerfile: ['FROM full:1'] },
]

export const classicRecipes: readonly Recipe[] = [...copying, ...running, ...configuring, ...staging]
