/** gantryd: the supervisor's command line. */
import { Command, Option } from 'commander'
import { messageOf } from '#api/errors/errors.ts'
import { type LogLevel, logLevels } from '#api/log/log.ts'
import { apiLevel } from '#core/version/version.ts'
import { type ConfigFlags, defaultConfigPath, defaultConfigText } from './config.ts'
import { loadConfig } from './config-file.ts'
import { runDaemon } from './daemon.ts'

type Flags = ConfigFlags & { config?: string; logLevel?: LogLevel }

const program = new Command('gantryd')
  .description('The supervisor of Gantry: keeps the records, runs the plugins, starts the shims.')
  .version(apiLevel, '-v, --version')
  .option('-c, --config <file>', `configuration file (default: ${defaultConfigPath}, which may be missing)`)
  .option('--root <directory>', 'durable data')
  .option('--state <directory>', 'volatile data')
  .option('-a, --address <path>', 'unix socket of the API')
  .addOption(new Option('-l, --log-level <level>', 'how much to log').choices([...logLevels]))
  .action(async (flags: Flags) => runDaemon(loadConfig(flags.config, flags)))

const config = program.command('config').description('about the configuration')
config
  .command('default')
  .description('print the default configuration, with comments')
  .action(() => void process.stdout.write(defaultConfigText))

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`gantryd: ${messageOf(error)}\n`)
  process.exit(1)
}
