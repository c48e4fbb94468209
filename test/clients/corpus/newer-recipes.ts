// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Dockerfiles have variables of that form
/** What the classic builder cannot read. */
import { box, type Recipe } from './recipe.ts'

const newer = (name: string, dockerfile: string[], expects: Recipe['expects'], rest: Partial<Recipe> = {}): Recipe => ({
  ...{ name, dockerfile, isNewer: true, ...rest },
  ...(expects && { expects }),
})

export const newerRecipes: readonly Recipe[] = [
  newer('run-heredoc', [box, 'RUN <<EOF', 'echo one > /f', 'echo two >> /f', 'EOF'], { '/f': 'one\ntwo\n' }),
  newer('copy-heredoc', [box, 'ENV V=v', 'COPY <<a <<"b" /d/', '$V', 'a', '$V', 'b'], {
    '/d/a': 'v\n',
    '/d/b': '$V\n',
  }),
  newer(
    'copy-chmod',
    [box, 'COPY --chmod=0500 f /f', 'RUN stat -c %a /f > /m'],
    { '/m': '500\n' },
    { files: { f: '' } },
  ),
  newer('copy-link', [box, 'COPY --link f /f'], { '/f': 'F' }, { files: { f: 'F' } }),
  newer(
    'copy-parents',
    [box, 'COPY --parents a/b/f c/./d/g /p/'],
    { '/p/a/b/f': '1', '/p/d/g': '2' },
    { files: { 'a/b/f': '1', 'c/d/g': '2' } },
  ),
  newer(
    'copy-exclude',
    [box, 'COPY --exclude=*.o . /p/', 'RUN ls /p > /l'],
    { '/l': 'Dockerfile\na.c\n' },
    { files: { 'a.c': '', 'a.o': '' } },
  ),
  newer(
    'run-mount-bind',
    [box, 'RUN --mount=target=/in,source=d cp /in/f /f'],
    { '/f': 'F' },
    { files: { 'd/f': 'F' } },
  ),
  newer('run-mount-tmpfs', [box, 'RUN --mount=type=tmpfs,target=/t touch /t/x && ls /t > /f'], { '/f': 'x\n' }),
  newer('run-mount-cache', [box, 'RUN --mount=type=cache,target=/c,uid=5 stat -c %u /c > /f'], { '/f': '5\n' }),
  newer('run-mount-stage', [`${box} AS s`, 'RUN echo S > /s', box, 'RUN --mount=from=s,target=/s cat /s/s > /f'], {
    '/f': 'S\n',
  }),
  newer('run-network-none', [box, 'RUN --network=none ls /sys/class/net > /f'], { '/f': 'lo\n' }),
  newer('platform-args', [box, 'ARG TARGETOS', 'ARG BUILDOS', 'RUN echo $TARGETOS $BUILDOS > /f'], {
    '/f': 'linux linux\n',
  }),
  newer(
    'parallel-stages',
    [
      `${box} AS a`,
      'RUN echo a > /a',
      `${box} AS b`,
      'RUN echo b > /b',
      box,
      'COPY --from=a /a /',
      'COPY --from=b /b /',
    ],
    { '/a': 'a\n', '/b': 'b\n' },
  ),
  newer('env-patterns', [box, 'ENV P=a/b/c.txt', 'ENV A=${P##*/} B=${P%.*} C=${P//\\//-}', 'RUN echo $A $B $C > /f'], {
    '/f': 'c.txt a/b/c a-b-c.txt\n',
  }),
]
