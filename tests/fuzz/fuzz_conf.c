/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: network configurations, that is stdin of a call, for every verb. Whatever comes,
 * there is a request that holds what lib/cni.h promises, or an error document that is JSON; and of our
 * own keys a configuration that holds what plugins/conf.h does, or an error that names one.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "lib/cni.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "plugins/conf.h"

static void check_error(enum cni_version version, int error, const struct err *e)
{
	char text[4096];
	cni_error_format(text, sizeof(text), version, error, e);
	CLEANUP_JSON json_t *doc = NULL;
	struct err why;
	CHECK(json_parse(text, strlen(text), &doc, &why) == 0);
	CHECK(cni_code(error, e) > 0);
}

static void check_request(const struct cni_request *r)
{
	CHECK(text_is_name(r->network));
	CHECK(json_is_object(r->conf));
	CHECK(!r->prev || json_is_object(r->prev));
	CHECK(r->command != CNI_CHECK || r->prev);
	CHECK(r->wishes.n_ips <= CNI_WISH_MAX);
	CHECK(json_is_utf8(r->wishes.pod_name) && json_is_utf8(r->wishes.pod_namespace));
	CHECK(!r->wishes.pools[IPV4] || json_array_size(r->wishes.pools[IPV4]) > 0);
}

static void check_conf(const struct conf *c)
{
	CHECK(c->state_dir[0] == '/' && c->n_pools <= POOL_MAX && c->n_gateways <= 2);
	CHECK(!c->log_file[0] || c->log_file[0] == '/');
	CHECK(!c->mtu || (c->mtu >= CONF_MTU_MIN && c->mtu <= 65535));
	for (size_t i = 0; i < c->n_pools; i++) {
		CHECK(!cidr_has_host_bits(&c->pools[i].cidr));
		CHECK(c->pools[i].block_len >= c->pools[i].cidr.len);
		CHECK(!*c->pool_names[i] || text_is_dns_name(c->pool_names[i]));
	}
}

static void try_conf(const struct cni_request *r)
{
	struct conf c;
	struct err e = {0};
	if (conf_parse(r->conf, CONF_FULL, &c, &e) < 0)
		CHECK(*e.text);
	else
		check_conf(&c);
	(void)conf_parse(r->conf, CONF_FIND, &c, &e);
	CHECK(c.state_dir[0] == '/');
	if (conf_parse_ipam(r->conf, CONF_FULL, &c, &e) == 0)
		check_conf(&c);
}

static void try_command(const char *command, const uint8_t *data, size_t size)
{
	const struct cni_env env = {
		.command = command,
		.container = "c1",
		.netns = "/run/netns/x",
		.ifname = "eth0",
		.args = "K8S_POD_NAME=p",
		.path = "/opt/cni/bin",
	};
	char *input = mem_new(size + 1, 1);
	if (size)
		memcpy(input, data, size);
	struct cni_request r;
	struct err late = {0};
	struct err e = {0};
	int error = cni_request_parse(&env, input, size, &r, &late, &e);
	if (error < 0)
		check_error(r.version, error, &e);
	else
		check_request(&r);
	if (error == 0)
		try_conf(&r);
	if (*late.text)
		CHECK(r.command == CNI_DEL && late.code > 0);
	CLEANUP_FREE struct cni_attachment *list = NULL;
	size_t n = 0;
	if (error == 0 && r.command == CNI_GC)
		(void)cni_valid_attachments(&r, &list, &n, &e);
	cni_request_done(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const commands[] = {"ADD", "DEL", "CHECK", "GC", "STATUS", "FOO"};
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		try_command(commands[i], data, size);
	return 0;
}
