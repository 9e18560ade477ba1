/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who owns a block: the protocol of docs/ARCHITECTURE.md over single documents, each of which is written
 * by comparing its revision. One block, one pool that may be deleted and made again, two nodes whose agents
 * and machines may fail and come back, two removals of node 1 at a time.
 *
 * Each atomic is one request to the store, or one change on a node; everything may happen between
 * two. The steps have the names of the comments in agent/block_steps.c, cluster/node_removal.c and
 * cli/commit.c. Copies of the store may be as old as they like: the agent's of its block, and of the pool before
 * it claims, the remover's of the blocks. The answer of a write may be lost, and a return may be carried out late.
 *
 * tests/model_test.py checks it, and that each fault of these is found:
 *	FAULT=1 a claim does not read the pool afresh (C3)
 *	FAULT=2 an agent that starts does not write its blocks anew (A2)
 *	FAULT=3 pending blocks are not counted before a pool is deleted (D2)
 *	FAULT=4 a removal reads the blocks behind the deletion of the status (R1 after R0)
 *	FAULT=5 a removal takes blocks without comparing (R3)
 *	FAULT=6 a block whose return was lost is used again without being written anew
 *	FAULT=7 a removal deletes whatever status is there (R0)
 *	FAULT=8 a removal that finds no status goes on if there is none still, instead of writing one
 */
#ifndef FAULT
#define FAULT 0
#endif
#ifndef WRITES
#define WRITES 9   /* revisions at most: how long the story is */
#define FAILURES 1 /* of agents and machines */
#define PARTS 15   /* who takes part beside the agents: 1 deleter, 2 and 4 removers, 8 late returns */
#endif

mtype = { none, pending, owned, quarantined };

mtype state = none;  /* the document of the block: none, or of this node at this revision */
byte node, rev;
byte now = 1;        /* the latest revision */
bool pool = true, pool_off; /* the document of the pool */
byte pool_rev;
bool status[3];      /* of each node */
byte status_rev[3];
bool runs[3];        /* the agent */
bool uses[3];        /* the node state has the block, and pods may use it */
byte late[3];        /* a return at this revision is still under way; 0: none */
byte failures = FAILURES;

inline write(s, n) { now++; state = s; node = n; rev = now }

/* What must hold whenever a node uses the block. */
inline check() {
	assert(!(uses[1] && uses[2]));
	assert(!uses[1] || (state != none && state != pending && node == 1));
	assert(!uses[2] || (state != none && state != pending && node == 2))
}

/* C3, C4, of a pending block at revision r. */
inline finish() {
	atomic { good = (pool && !pool_off) || FAULT == 1 }
	atomic { if
	:: state == pending && node == me && rev == r ->
		if
		:: good -> write(owned, me); r = rev; if :: uses[me] = true :: skip /* lost */ fi
		:: else -> write(none, 0)
		fi;
		check()
	:: else
	fi }
}

/* A2, of the block at revision r. */
inline confirm() {
	atomic { if
	:: FAULT == 2 -> uses[me] = true; check()
	:: FAULT != 2 && state != none && node == me && rev == r ->
		write(owned, me); if :: uses[me] = true :: skip /* lost */ fi; check()
	:: else
	fi }
}

proctype agent(byte me) {
	mtype s, cs = none; byte r, cr; bool good;
start:	atomic { now < WRITES -> runs[me] = true; now++; status[me] = true; status_rev[me] = now } /* A1 */
	do
	:: atomic { now < WRITES -> skip };
		atomic { if
		:: cs = (node == me -> state : none); cr = rev	/* the watch has told */
		:: true					/* or not: its copy is as old as it likes */
		fi; s = cs; r = cr }
		if
		:: s == none && !uses[me] ->
			atomic { if					/* C2 */
			:: state == none -> write(pending, me); s = pending; r = rev
			:: else
			fi }
			if :: s == pending -> finish() :: else fi
		:: s == pending -> finish()
		:: s == owned && !uses[me] -> confirm()
		:: s == quarantined && uses[me] -> confirm()
		:: s == quarantined && !uses[me] ->
			atomic { if :: node == me && rev == r && state == quarantined -> write(none, 0) :: else fi }
		:: s == owned && uses[me] ->
			atomic { uses[me] = false; late[me] = r }	/* a return is sent */
			if
			:: atomic { late[me] = 0 }			/* carried out at once, or in vain */
				atomic { if :: node == me && rev == r && state == owned -> write(none, 0) :: else fi }
			:: FAULT == 6 -> atomic { uses[me] = (state == owned && node == me); check() }
			:: skip						/* its answer is lost */
			fi
		:: else
		fi;
		atomic { s = none; r = 0; good = false }
	:: atomic { failures > 0 -> failures--; runs[me] = false }	/* of the agent */
		goto start
	:: atomic { failures > 0 -> failures--; runs[me] = false; uses[me] = false } /* of the machine */
		goto start
	:: break
	od
}

proctype network() {
	do
	:: atomic { late[1] > 0 -> if :: state == owned && node == 1 && rev == late[1] -> write(none, 0) :: else fi; late[1] = 0; check() }
	:: atomic { late[2] > 0 -> if :: state == owned && node == 2 && rev == late[2] -> write(none, 0) :: else fi; late[2] = 0; check() }
	:: break
	od
}

proctype deleter() {
	bool used; byte r;
	atomic { pool -> now++; pool_off = true; pool_rev = now; r = now }	/* D1 */
	atomic { used = (state != none) && !(FAULT == 3 && state == pending) }	/* D2 */
	atomic { if								/* D3 */
	:: !used && pool_rev == r -> pool = false; assert(!uses[1] && !uses[2])
	:: used && pool_rev == r -> pool_off = false; now++; pool_rev = now
	:: else
	fi }
	atomic { if :: !pool -> pool = true; pool_off = false; now++; pool_rev = now :: else fi } /* somebody applies it */
}

/* Of node 1. That a machine is off is what the operator says with --powered-off. */
proctype remover() {
	byte d, r; bool mine, off, early;
	if
	:: atomic { mine = (state != none && node == 1); r = rev; early = true }	/* R1, by a copy */
	:: skip
	fi;
	atomic { !runs[1] -> d = status_rev[1]; off = !uses[1];			/* N0 */
		if
		:: !status[1] && FAULT != 8 -> now++; status[1] = true; status_rev[1] = now; d = now
		:: else
		fi }
	if
	:: FAULT != 4 && !early -> atomic { mine = (state != none && node == 1); r = rev }	/* R1 */
	:: else
	fi;
	atomic { if									/* R0 */
	:: status[1] && (status_rev[1] == d || FAULT == 7) -> status[1] = false
	:: !status[1] && FAULT == 8
	:: else -> goto end
	fi }
	if
	:: FAULT == 4 -> atomic { mine = (state != none && node == 1); r = rev }
	:: else
	fi;
	atomic { if									/* R3 */
	:: mine && node == 1 && state != none && (rev == r || FAULT == 5) ->
		if
		:: off || state == pending -> write(none, 0)
		:: else -> write(quarantined, 1)
		fi;
		check()
	:: else
	fi }
end:	skip
}

init {
	atomic {
		run agent(1); run agent(2);
#if PARTS & 1
		run deleter();
#endif
#if PARTS & 2
		run remover();
#endif
#if PARTS & 4
		run remover();
#endif
#if PARTS & 8
		run network();
#endif
	}
}
