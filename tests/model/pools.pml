/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools that overlap: nothing in a store forbids two of them, so a claim reads all pools, and where two have
 * its addresses the blocks, after it wrote its own block. Two pools, of which either may be the older one
 * whatever the order in which they were written; one block of each, which have an address in common; two nodes
 * that claim, whose copies of the store may be as old as they like; people who make and delete pools,
 * with roostctl, which looks again and takes back what lost (cli/apply.c), or by other means.
 *
 * The steps have the names of the comments in agent/block_steps.c and cli/commit.c.
 * tests/model_test.py checks it, and that each fault of these is found:
 *	FAULT=1 a claim does not read the blocks where pools overlap (C3)
 *	FAULT=2 a claim reads the pools before it writes its block (C3 before C2)
 *	FAULT=3 a pool is deleted without counting pending blocks (D2)
 */
#ifndef FAULT
#define FAULT 0
#endif
#ifndef CLAIMS
#define CLAIMS 3
#endif
#ifndef CHANGES
#define CHANGES 2 /* of pools */
#endif

mtype = { none, pending, owned };

mtype block[2] = none;
byte block_rev[2], now;
bool pool[2], off[2];
bit older; /* which pool counts */
byte changes = CHANGES, claims = CLAIMS;

#define other (1 - me)

inline set(s) { now++; block[me] = s; block_rev[me] = now; assert(!(block[0] == owned && block[1] == owned)) }
inline read_pools() {
	atomic {
		good = pool[me] && !off[me] && (!pool[other] || older == me);
		meets = pool[other]
	}
}

proctype node(bit me) {
	bool good, meets; byte r;
	do
	:: atomic { claims > 0 -> claims-- }
		if :: FAULT == 2 -> read_pools() :: else fi
		atomic { if
		:: block[me] == none -> set(pending); r = now			/* C2 */
		:: block[me] == pending -> r = block_rev[me]			/* left by one that was killed */
		:: block[me] == owned -> set(none); goto next			/* a return */
		fi }
		if :: FAULT != 2 -> read_pools() :: else fi			/* C3 */
		if
		:: good && meets && FAULT != 1 -> atomic { good = (block[other] == none) }
		:: else
		fi;
		if
		:: atomic { block[me] == pending && block_rev[me] == r ->	/* C4 */
			if :: good -> set(owned) :: else -> set(none) fi }
		:: block[me] != pending || block_rev[me] != r
		:: skip								/* it is killed */
		fi;
next:		atomic { good = false; meets = false; r = 0 }
	:: break
	od
}

/* D1 to D3, which compare the document of the pool. */
inline delete_pool() {
	atomic { if :: pool[me] -> off[me] = true :: else fi }
	atomic { used = (block[0] == owned || block[1] == owned ||
		(FAULT != 3 && (block[0] == pending || block[1] == pending))) }
	atomic { if :: pool[me] && off[me] && !used -> pool[me] = false; off[me] = false; assert(block[me] != owned) :: else fi }
}

proctype person(bit me) {
	bool used;
	do
	:: atomic { changes > 0 -> changes--;
		if :: pool[me] -> off[me] = false :: !pool[me] -> pool[me] = true; off[me] = false fi }
		if
		:: pool[other] -> delete_pool()	/* it lost */
		:: skip				/* it was made by other means, or who made it was killed */
		fi
	:: atomic { changes > 0 -> changes-- }
		delete_pool()
	:: break
	od
}

init {
	atomic {
		if :: older = 0 :: older = 1 fi;
		run node(0); run node(1); run person(0); run person(1)
	}
}
