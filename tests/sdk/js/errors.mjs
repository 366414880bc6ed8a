// One call through the JS SDK; prints how its failure looks to the SDK's user. Same arguments as errors.py.
import { parseArgs } from 'node:util'
import { Sandbox, SandboxError } from 'e2b'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { retries: { type: 'string' }, timeout: { type: 'string' }, url: { type: 'string', multiple: true } },
})
const kind = positionals[0] ?? 'create'

async function attempt(apiUrl) {
  const sandbox = await Sandbox.create('base', {
    timeoutMs: 600_000,
    ...(apiUrl === undefined ? {} : { apiUrl }),
    ...(values.retries === undefined ? {} : { retries: Number(values.retries) }),
    ...(values.timeout === undefined ? {} : { requestTimeoutMs: Number(values.timeout) * 1000 }),
  })
  if (kind === 'run') await sandbox.commands.run('echo hello')
  if (kind === 'read') await sandbox.files.read('/home/user/none')
}

async function outcome(apiUrl) {
  try {
    await attempt(apiUrl)
    return { class: null }
  } catch (why) {
    return {
      class: why.constructor.name,
      sandbox_exception: why instanceof SandboxError,
      status: why.statusCode ?? null,
      message: why.message,
    }
  }
}

const told = []
for (const url of values.url ?? [undefined]) told.push(await outcome(url))
process.stdout.write(JSON.stringify(values.url ? told : told[0]) + '\n')
process.exit(0)
