// Loaded into the daemon by NODE_OPTIONS=--import: at SIGUSR2 it computes for ever, as a bug would.
process.on('SIGUSR2', () => {
  for (;;);
});
