"""
The policy at a size no test bed has: a week of 10,000 workers in simulated time, beside naive designs.

What is real: `TokenSource` and everything it decides with (`Slot`, `Flight`, `Crew`, `Renewal`, `Account`, `HeldToken`,
`RenewalPolicy`), imported from the package and called by its public methods. What is a model: time, threads (greenlets,
which switch only where code waits), the token endpoint, the stores (what `TokenStore` promises, with a time for each
step), the calls, and the naive designs. `docs/scaling.md` says what is assumed.
"""
