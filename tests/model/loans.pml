/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single addresses of another node's block: the protocol of docs/ARCHITECTURE.md over single documents. One
 * address X of a block of node 0, the lender; nodes 1 and 2, who would borrow it, each with a document of its
 * own for it; node 3, which claims the block when it is free. Agents and machines fail and come back, node 1 or
 * the lender is removed. Who owns a block without loans is blocks.pml's story.
 *
 * Each atomic is one request to the store, or one change on a node; everything may happen between
 * two. The steps have the names of the comments in agent/loan_plan.c, agent/loan_steps.c and
 * cluster/node_removal.c. Copies of the documents may be as old as they like; the answer of a write may be lost,
 * and the lender's [L2] and the borrower's [L4] may be carried out late.
 *
 * tests/model_test.py checks it, and that each fault of these is found:
 *	FAULT=1 the lender writes that it lends without reserving the address first (L2)
 *	FAULT=2 the lender ends its reservation by its copy of the documents, not by reading them afresh (L5)
 *	FAULT=3 the block is returned although an address of it is lent
 *	FAULT=4 the borrower uses what the lender wrote without writing the document anew (L3)
 *	FAULT=5 a loan whose end may be carried out late, or that a removal is about to end, is used without being
 *		written anew (A2)
 *	FAULT=6 a removal frees the lender's block without looking at loans
 *	FAULT=7 a lender that starts takes its block into use without reading the loans afresh (A3)
 *	FAULT=8 a lender gives one address that is reserved to whoever asks for it
 *	FAULT=9 a lender that starts returns its block without reading the loans afresh (A3)
 */
#ifndef FAULT
#define FAULT 0
#endif
#ifndef WRITES
#define WRITES 7 /* revisions at most: how long the story is */
#endif
#ifndef FAILURES
#define FAILURES 1 /* of agents and machines */
#endif
#ifndef PARTS
#define PARTS 7 /* who takes part: 1 the second borrower, 2 and 4 the removals of node 1 and of the lender, 8 late writes */
#endif

mtype = { none, asked, lent, used, quarantined, owned };

byte now = 1;			/* the latest revision */
mtype loan[3] = none;		/* the document of X of borrowers 1 and 2 */
byte rev[3];
mtype block = owned;		/* the document of the lender's block, or of node 3's */
byte owner, block_rev;
bool status[3] = true;		/* of the lender and of node 1 */
byte status_rev[3];
bool runs[3] = true;		/* the agent */
bool uses[4];			/* a pod of that node has X; the machine of node 3 has the block */
bool has = true;		/* the lender's node state has the block */
bool held;			/* and X is reserved there */
bool kept;			/* and in the file that survives a reboot */
byte late_lend, late_lend_rev;	/* an L2 that is still under way: of that borrower */
byte late_end[3];		/* an L4 at that revision */
byte failures = FAILURES;

inline check() {
	assert(!(uses[0] && (uses[1] || uses[2])));
	assert(!(uses[1] && uses[2]));
	assert(!(uses[3] && (uses[0] || uses[1] || uses[2])))
}
inline put(i, s) { now++; loan[i] = s; rev[i] = now }

proctype lender() {
	bool fresh = true, mine; byte i, chosen, r; mtype c[3]; byte cr[3];
	do
	/* The copy of a document. */
	:: atomic { now < WRITES -> c[1] = loan[1]; cr[1] = rev[1]; c[2] = loan[2]; cr[2] = rev[2] }
	/* Its pods. */
	:: atomic { now < WRITES && has && !held && !uses[0] -> uses[0] = true; check() }
	:: atomic { uses[0] -> uses[0] = false }
	/* L2: the reservation, the disk, the document */
	:: atomic { now < WRITES && has && fresh && (!held || FAULT == 8) && !uses[0] ->
			if :: c[1] == asked -> i = 1 :: c[2] == asked -> i = 2 :: else -> i = 0 fi;
			if :: i && FAULT != 1 -> held = true; kept = true :: else fi;
			chosen = i; r = (i -> cr[i] : 0) }
		if
		:: chosen ->
			if
			:: true -> atomic { if :: loan[chosen] == asked && rev[chosen] == r -> put(chosen, lent) :: else fi }
#if PARTS & 8
			:: atomic { !late_lend -> late_lend = chosen; late_lend_rev = r }
#endif
			:: skip		/* killed before it was sent */
			fi
		:: else
		fi;
		atomic { chosen = 0; r = 0; i = 0 }
	/* L5: there is no document of X */
	:: atomic { held && fresh &&
			((FAULT != 2 && loan[1] == none && loan[2] == none) || (FAULT == 2 && c[1] == none && c[2] == none)) ->
		held = false; kept = false }
	/* the block goes back */
	:: atomic { now < WRITES && has && fresh && !uses[0] && (!held || FAULT == 3) && block == owned && owner == 0 ->
		has = false; held = false; now++; block = none; block_rev = now; check() }
	:: atomic { now < WRITES && !has && (fresh || FAULT == 9) && !held && block == quarantined && owner == 0 ->
		now++; block = none; block_rev = now; check() }
	/* A failure of the agent, and of the machine. It waits until somebody starts it. */
	:: atomic { failures > 0 -> failures--; runs[0] = false; fresh = false; c[1] = none; c[2] = none }
		atomic { now < WRITES -> runs[0] = true; now++; status[0] = true; status_rev[0] = now }	/* A1 */
	:: atomic { failures > 0 -> failures--; runs[0] = false; fresh = false; has = false; uses[0] = false; held = false;
		c[1] = none; c[2] = none }
		if :: kept = false /* and of the disk */ :: skip fi;
		atomic { now < WRITES -> runs[0] = true; held = kept; now++; status[0] = true; status_rev[0] = now }
	/* A2: its block is still its own */
	:: atomic { runs[0] && !has && block != none && owner == 0 && now < WRITES && (fresh || FAULT == 7) ->
		now++; block = owned; block_rev = now; has = true; check() }
	/* A3: the loans are read afresh */
	:: atomic { runs[0] && !fresh -> fresh = true;
		if :: loan[1] != none || loan[2] != none -> held = true; kept = true :: else fi }
	:: break
	od
}

proctype borrower(byte me) {
	mtype c; byte r;
	do
	:: atomic { now < WRITES -> c = loan[me]; r = rev[me] }	/* the watch has told, or not */
		if
		:: c == none && !uses[me] ->			/* L1 */
			atomic { if :: loan[me] == none && now < WRITES -> put(me, asked) :: else fi }
		:: c == lent ->					/* L3 */
			if
			:: true -> atomic { if
				:: FAULT == 4 -> uses[me] = true; check()
				:: FAULT != 4 && loan[me] == lent && rev[me] == r && now < WRITES ->
					put(me, used); if :: uses[me] = true :: skip /* lost */ fi; check()
				:: else
				fi }
			:: true -> atomic { if :: loan[me] == c && rev[me] == r -> loan[me] = none :: else fi }	/* not wanted any more */
			fi
		:: c == asked ->				/* nobody answers */
			atomic { if :: loan[me] == c && rev[me] == r -> loan[me] = none :: else fi }
		:: (c == used && !uses[me]) || c == quarantined -> /* of an earlier process, or its answer was lost */
			if
			:: true -> atomic { if
				:: FAULT == 5 && c == used -> uses[me] = true; check()
				:: !(FAULT == 5 && c == used) && loan[me] == c && rev[me] == r && now < WRITES ->
					put(me, used); if :: uses[me] = true :: skip fi; check()
				:: else
				fi }
			:: !uses[me] ->
				atomic { if :: loan[me] == c && rev[me] == r -> loan[me] = none :: else fi }
			fi
		:: c == used && uses[me] ->			/* L4 */
			atomic { uses[me] = false }
			if
			:: true -> atomic { if :: loan[me] == c && rev[me] == r -> loan[me] = none :: else fi }
#if PARTS & 8
			:: true -> late_end[me] = r
#endif
			:: skip
			fi
		:: else
		fi;
		atomic { c = none; r = 0 }
	:: atomic { failures > 0 && me == 1 -> failures--; runs[me] = false }	/* of the agent, */
again:		atomic { now < WRITES -> runs[me] = true; now++; status[me] = true; status_rev[me] = now } /* A1 */
		if			/* A2: what it uses is its own still, or it does not use it */
		:: uses[me] ->
			atomic { r = rev[me] }
			atomic { if
				:: loan[me] != none && rev[me] == r && now < WRITES -> put(me, used)
				:: else -> uses[me] = false
				fi; r = 0 }
		:: else
		fi
	:: atomic { failures > 0 && me == 1 -> failures--; runs[me] = false; uses[me] = false } /* of the machine */
		goto again
	:: break
	od
}

proctype network() {
	do
	:: atomic { late_lend ->
		if :: loan[late_lend] == asked && rev[late_lend] == late_lend_rev && now < WRITES + 1 -> put(late_lend, lent) :: else fi;
		late_lend = 0; late_lend_rev = 0 }
	:: atomic { late_end[1] -> if :: loan[1] != none && rev[1] == late_end[1] -> loan[1] = none :: else fi; late_end[1] = 0 }
	:: break
	od
}

/* Of node 1; that a machine is off is what the operator says with --powered-off. */
proctype remove_borrower() {
	byte d, r; bool mine, off;
	atomic { !runs[1] -> d = status_rev[1]; off = !uses[1] }		/* N0 */
	atomic { mine = (loan[1] != none); r = rev[1] }				/* R1 */
	atomic { if :: status[1] && status_rev[1] == d -> status[1] = false :: else -> goto end fi }	/* R0 */
	atomic { if								/* R3 */
	:: mine && loan[1] != none && rev[1] == r && now < WRITES ->
		if
		:: off || loan[1] == asked -> loan[1] = none
		:: else -> put(1, quarantined)
		fi
	:: else
	fi };
end:	skip
}

/* Of the lender, whose machine is off. */
proctype remove_lender() {
	byte d, r; bool lends;
	atomic { !runs[0] && !has && !uses[0] -> d = status_rev[0] }		/* N0 */
	atomic { r = block_rev }						/* R1 */
	atomic { lends = (loan[1] != none || loan[2] != none) && FAULT != 6 }	/* R2 */
	atomic { if :: status[0] && status_rev[0] == d -> status[0] = false :: else -> goto end fi }	/* R0 */
	atomic { if								/* R3 */
	:: block != none && owner == 0 && block_rev == r && now < WRITES ->
		now++; block_rev = now;
		if :: lends -> block = quarantined :: else -> block = none fi;
		check()
	:: else
	fi };
end:	skip
}

proctype claimer() {
	atomic { block == none -> block = owned; owner = 3; uses[3] = true; check() }
}

init {
	atomic {
		run lender(); run borrower(1); run claimer();
#if PARTS & 1
		run borrower(2);
#endif
#if PARTS & 2
		run remove_borrower();
#endif
#if PARTS & 4
		run remove_lender();
#endif
#if PARTS & 8
		run network();
#endif
	}
}
