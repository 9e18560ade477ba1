/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sources of the agent share: when the next reconciliation is wanted.
 */
#include "agent/agent_impl.h"

#include "lib/boot.h"

void agent_want_reconcile(struct agent *a, int64_t in_ms)
{
	int64_t at = boot_now_ms() + in_ms;
	if (at < a->rest_until)
		at = a->rest_until;
	if (!a->reconcile_at || at < a->reconcile_at)
		a->reconcile_at = at;
}
