// One call through the JS SDK; prints how its failure looks to the SDK's user. Same arguments as errors.py.
import { parseArgs } from 'node:util'
import { Sandbox, SandboxError } from 'e2b'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { retries: { type: 'string' }, timeout: { type: 'string' } },
})
const kind = positionals[0] ?? 'create'

async function attempt() {
  const sandbox = await Sandbox.create('base', {
    timeoutMs: 600_000,
    ...(values.retries === undefined ? {} : { retries: Number(values.retries) }),
    ...(values.timeout === undefined ? {} : { requestTimeoutMs: Number(values.timeout) * 1000 }),
  })
  if (kind === 'run') await sandbox.commands.run('echo hello')
  if (kind === 'read') await sandbox.files.read('/home/user/none')
}

let told = { class: null }
try {
  await attempt()
} catch (why) {
  told = {
    class: why.constructor.name,
    sandbox_exception: why instanceof SandboxError,
    status: why.statusCode ?? null,
    message: why.message,
  }
}
process.stdout.write(JSON.stringify(told) + '\n')
process.exit(0)
