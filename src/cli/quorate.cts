#!/usr/bin/env node
// The executable. CommonJS, because the size of libuv's thread pool is read once, at its first use, and an ES module's
// imports have used it before any code of ours could run. Eight threads, so that neither a burst of LevelDB reads nor
// slow DNS look-ups can keep the log's next write waiting.
process.env['UV_THREADPOOL_SIZE'] ??= '8'

// V8 lets its heap grow to as much as four times what lives in it before it collects. A store under writes lives on little and
// discards much: to collect when the heap has doubled costs a little time and saves a good part of the memory. Nor may it make objects
// old at their birth because others of their place in the code grew old: here they do when the disk is slow (decisions/memory.md).
const v8 = process.getBuiltinModule('node:v8')
v8.setFlagsFromString('--heap-growing-percent=100')
v8.setFlagsFromString('--no-allocation-site-pretenuring')

void import('./main.ts').then(({ main }) => main(process.argv.slice(2)))
