// `node --require`: takes away what Node.js 18 does not have, so that a later one shows what would fail there.
for (const name of ['toSorted', 'toReversed', 'toSpliced', 'with']) delete Array.prototype[name];
for (const name of ['toSorted', 'toReversed', 'with'])
  delete Object.getPrototypeOf(Uint8Array.prototype)[name];
for (const name of ['union', 'intersection', 'difference', 'isSubsetOf']) delete Set.prototype[name];
for (const name of ['isWellFormed', 'toWellFormed']) delete String.prototype[name];
for (const [holder, name] of [
  [Object, 'groupBy'],
  [Map, 'groupBy'],
  [Array, 'fromAsync'],
  [Promise, 'withResolvers'],
  [Promise, 'try'],
])
  delete holder[name];
