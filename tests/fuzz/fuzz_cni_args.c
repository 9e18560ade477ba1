/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the environment. The input is used as CNI_ARGS, and as every other variable of a
 * call; names that are let through must be what the kernel and our records can hold.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <string.h>

#include "lib/cni.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

static void try_args(const char *args)
{
	CLEANUP_JSON json_t *conf = json_object();
	struct cni_wishes w;
	struct err e;
	int error = cni_args_read(conf, args, &w, &e);
	CHECK(error == 0 || (error == -EINVAL && *e.text && w.n_ips == 0 && !w.has_mac));
	CHECK(json_is_utf8(w.pod_name) && json_is_utf8(w.pod_namespace));
	for (size_t i = 0; i < w.n_ips; i++)
		CHECK(w.ips[i].family);
	cni_args_done(&w);
	char one[2];
	bool cut = false;
	(void)cni_args_get(args, "", one, sizeof(one), &cut);
	(void)cni_args_get(args, "A", one, sizeof(one), &cut);
}

static void try_env(const char *command, const char *value)
{
	const struct cni_env env = {
		.command = command,
		.container = value,
		.netns = value,
		.ifname = value,
		.args = value,
		.path = value,
	};
	struct err late = {0};
	struct err e;
	int error = cni_env_check(&env, &late, &e);
	CHECK(error == 0 || (error == -EINVAL && e.code == 4));
	if (error == 0 && strcmp(command, "ADD") == 0)
		CHECK(text_is_ifname(value) && text_is_name(value) && json_is_utf8(value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_FREE char *text = mem_new(size + 1, 1);
	if (size)
		memcpy(text, data, size);
	try_args(text);
	try_env("ADD", text);
	try_env("DEL", text);
	try_env("GC", text);
	try_env(text, "a");
	return 0;
}
