// The import law: api ← plugins/sdk ← plugins/*, and api ← core ← cmd. Each message says what to do instead.
/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'api-stands-alone',
      severity: 'error',
      comment: 'api/ is the bottom: whoever needs this from above gets it as an argument.',
      from: { path: '^api/' },
      to: { path: '^(core|plugins|cmd)/' },
    },
    {
      name: 'plugins-never-import-core',
      severity: 'error',
      comment: 'A plugin is a separate process; what it needs of the core comes over gRPC, or belongs in api/.',
      from: { path: '^plugins/' },
      to: { path: '^(core|cmd)/' },
    },
    {
      name: 'plugins-never-import-each-other',
      severity: 'error',
      comment: 'Shared by two plugins means it belongs in plugins/sdk.',
      from: { path: '^plugins/(?!sdk/)([^/]+/[^/]+)/' },
      to: { path: '^plugins/(?!sdk/)', pathNot: '^plugins/$1/' },
    },
    {
      name: 'sdk-knows-no-plugin',
      severity: 'error',
      comment: 'The SDK is what plugins are made of, not the other way round.',
      from: { path: '^plugins/sdk/' },
      to: { path: '^plugins/(?!sdk/)' },
    },
    {
      name: 'core-never-imports-a-plugin',
      severity: 'error',
      comment: 'The core reaches a plugin through its socket.',
      from: { path: '^core/' },
      to: { path: '^(plugins|cmd)/' },
    },
    {
      name: 'rooms-meet-at-contracts',
      severity: 'error',
      comment: 'core/a imports core/b only as core/b/b.ts, its contract; move what you need there.',
      from: { path: '^core/([^/]+)/', pathNot: '\\.test\\.ts$' },
      to: { path: '^core/([^/]+)/', pathNot: ['^core/$1/', '^core/([^/]+)/\\1\\.ts$'] },
    },
    {
      name: 'gctr-is-a-client',
      severity: 'error',
      comment: 'The CLI speaks the public gRPC API like any other tool.',
      from: { path: '^cmd/gctr/' },
      to: { path: '^(core|plugins)/' },
    },
    {
      name: 'one-composition-root',
      severity: 'error',
      comment: 'Dependencies are constructor arguments; only compose.ts knows the container.',
      from: { pathNot: '^cmd/[^/]+/compose\\.ts$' },
      to: { path: 'node_modules/(tsyringe|reflect-metadata)' },
    },
    {
      name: 'one-module-touches-lmdb',
      severity: 'error',
      comment: "Use api/store: its write() rolls back, lmdb's transaction() does not.",
      from: { pathNot: '^api/store/' },
      to: { path: 'node_modules/lmdb' },
    },
    {
      name: 'no-circles',
      severity: 'error',
      comment:
        'A circle at run time loads in an order nobody chose. (A contract may name types of what implements it.)',
      from: { path: '^(api|core|plugins|cmd)/', pathNot: '^api/gen/' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: ['node_modules', '^api/gen'] },
    includeOnly: '^(api|core|plugins|cmd|node_modules)',
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
}
