/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an answer of etcd means. gRPC's code says most; where etcd uses one code for several things
 * (etcd: etcdserver/api/v3rpc/rpctypes/error.go) its sentence decides, looked at for a few words.
 *
 * In doubt the verdict is AGAIN, which promises nothing: "request timed out" comes after a proposal
 * was handed to raft, and it may still be carried out. FINAL and DENIED are for answers that
 * were given before anything was proposed.
 */
#include "store/etcd_judge.h"

#include <errno.h>
#include <string.h>

enum { /* gRPC's status codes */
	INVALID_ARGUMENT = 3,
	PERMISSION_DENIED = 7,
	RESOURCE_EXHAUSTED = 8,
	OUT_OF_RANGE = 11,
	UNAUTHENTICATED = 16,
};

static bool says(const struct etcd_answer *a, const char *words)
{
	return strstr(a->message, words) != NULL;
}

static enum etcd_verdict judge_argument(const struct etcd_answer *a, int *error)
{
	if (says(a, "user name is empty") || says(a, "auth store is old") || says(a, "is old"))
		return ETCD_TOKEN;
	if (says(a, "authentication failed"))
		return ETCD_DENIED;
	*error = says(a, "too large") ? -EMSGSIZE : -EINVAL;
	return ETCD_FINAL;
}

static enum etcd_verdict judge_code(const struct etcd_answer *a, int *error)
{
	switch (a->code) {
	case INVALID_ARGUMENT:
		return judge_argument(a, error);
	case PERMISSION_DENIED:
		return ETCD_DENIED;
	case RESOURCE_EXHAUSTED:
		*error = -ENOSPC;
		return says(a, "space exceeded") ? ETCD_FINAL : ETCD_AGAIN;
	case OUT_OF_RANGE:
		return says(a, "compacted") ? ETCD_COMPACTED : ETCD_AGAIN;
	case UNAUTHENTICATED:
		return ETCD_TOKEN;
	default:
		return ETCD_AGAIN;
	}
}

enum etcd_verdict etcd_judge(
	char *text, size_t len, long status, struct etcd_answer *a, int *error, struct err *e)
{
	*a = (struct etcd_answer){0};
	*error = -EIO;
	if (etcd_read(text, len, a, e) < 0)
		return ETCD_AGAIN;
	if (status == 200 && !a->failed)
		return ETCD_FINE;
	if (!a->failed) {
		(void)err_set(e, EIO, "HTTP %ld instead of etcd's JSON gateway", status);
		return ETCD_AGAIN;
	}
	(void)err_set(e, EIO, "it says \"%s\"", a->message);
	return judge_code(a, error);
}

enum etcd_verdict etcd_judge_cancelled(const struct etcd_answer *a, struct err *e)
{
	(void)err_set(e, EACCES, "it cancelled a watch: \"%s\"", a->message);
	if (a->compact_revision > 0)
		return ETCD_COMPACTED;
	/* It names no reason but these, and a token that expired is "permission denied", too. */
	if (says(a, "ermission") || says(a, "user name") || says(a, "auth"))
		return ETCD_TOKEN;
	return ETCD_AGAIN;
}

enum etcd_verdict etcd_judge_foreign(const char *what, struct err *e)
{
	(void)err_set(e, EBADMSG, "an answer that is not etcd's: %s", what);
	return ETCD_AGAIN;
}
