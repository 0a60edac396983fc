process.on('message', m => {
    process.send({ got: m.a + 1 });
});
process.on('disconnect', () => process.exit(5));
