-- Admission by network address: an hour's requests from one address, whichever account made them.
--
-- KEYS[1]  the address's hash.  Warm, it holds
--            h, c        the hour (Unix time / 3600 s) and the requests booked in it
--            m, mc       the minute (Unix time / 60 s) and its requests
--            n           how many different accounts the hour's requests are of
--            a:<account> the hour's requests of one account
--            r:<id>      one of the hour's requests: "minute account"
--          Without `h` it is cold: nothing is known, and the ledger must be read first.  While cold
--          it may hold
--            s:<id>      a request that was given back meanwhile
-- KEYS[2]  the partition's epoch: when this store, as it is now, was first asked.
-- ARGV     operation, then the operation's own.  Windows come from this store's clock alone.
--
-- Every operation answers {verdict, now_ms, mc, c, n, account's requests, extra}.  Each is safe to
-- repeat: a request is booked and given back by its id.  One that is charged stays as it is.

local address, epoch_key = KEYS[1], KEYS[2]
local KEEP_SECONDS = 7200
local TOMBSTONE_SECONDS = 120

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if ARGV[2] ~= '0' then now = tonumber(ARGV[2]) end  -- a test's clock

local function load()
  local v = redis.call('HMGET', address, 'h', 'c', 'm', 'mc', 'n')
  if not v[1] then return nil end
  local s = { h = tonumber(v[1]), c = tonumber(v[2]), m = tonumber(v[3]), mc = tonumber(v[4]),
              n = tonumber(v[5]) }
  local hour, minute = math.floor(now / 3600000), math.floor(now / 60000)
  if hour > s.h then s.h = hour; s.c = 0; s.n = 0; s.is_new = true end
  if minute > s.m then s.m = minute; s.mc = 0 end
  return s
end

local function store(s)
  redis.call('HSET', address, 'h', s.h, 'c', s.c, 'm', s.m, 'mc', s.mc, 'n', s.n)
  redis.call('EXPIRE', address, KEEP_SECONDS)
end

local function of_account(s, account)
  if s.is_new then return 0 end
  return tonumber(redis.call('HGET', address, 'a:' .. account) or 0)
end

local function answer(verdict, s, account, extra)
  return { verdict, now, s.mc, s.c, s.n, of_account(s, account), extra or 0 }
end

local function epoch()
  local since = redis.call('GET', epoch_key)
  if not since then since = now; redis.call('SET', epoch_key, since) end
  return tonumber(since)
end

local function cold(age) return { 'cold', now, 0, 0, 0, 0, age } end

local function book(s, id, minute, account)
  s.c = s.c + 1
  if minute == s.m then s.mc = s.mc + 1 end
  if redis.call('HINCRBY', address, 'a:' .. account, 1) == 1 then s.n = s.n + 1 end
  redis.call('HSET', address, 'r:' .. id, string.format('%d %s', minute, account))
end

local operation = ARGV[1]

if operation == 'reserve' then
  local id, account = ARGV[3], ARGV[4]
  local per_minute, per_hour = tonumber(ARGV[5]), tonumber(ARGV[6])  -- -1: no limit
  local accounts_per_hour = tonumber(ARGV[7])
  local s = load()
  if not s then return cold(now - epoch()) end
  if not s.is_new and redis.call('HEXISTS', address, 'r:' .. id) == 1 then
    return answer('admitted', s, account)
  end
  if accounts_per_hour >= 0 and s.n >= accounts_per_hour and of_account(s, account) == 0 then
    return answer('address_accounts_per_hour', s, account)
  end
  if per_hour >= 0 and s.c >= per_hour then
    return answer('address_requests_per_hour', s, account)
  end
  if per_minute >= 0 and s.mc >= per_minute then
    return answer('address_requests_per_minute', s, account)
  end
  if s.is_new then redis.call('DEL', address); s.is_new = false end
  book(s, id, math.floor(now / 60000), account)
  store(s)
  return answer('admitted', s, account)
end

if operation == 'release' then
  local id = ARGV[3]
  local s = load()
  if not s then
    redis.call('HSET', address, 's:' .. id, 1)
    redis.call('EXPIRE', address, TOMBSTONE_SECONDS)
    return cold(0)
  end
  local booking = redis.call('HGET', address, 'r:' .. id)
  if s.is_new or not booking then return answer('absent', s, '') end
  local minute, account = string.match(booking, '^(%d+) (%S+)$')
  redis.call('HDEL', address, 'r:' .. id)
  s.c = s.c - 1
  if tonumber(minute) == s.m then s.mc = s.mc - 1 end
  if redis.call('HINCRBY', address, 'a:' .. account, -1) == 0 then
    redis.call('HDEL', address, 'a:' .. account)
    s.n = s.n - 1
  end
  store(s)
  return answer('released', s, account)
end

if operation == 'seed' then
  -- epoch, hour, minute, then "id", minute and "account" of each of the hour's requests
  local since = epoch()
  local s = load()
  if s then return answer('warm', s, '') end
  if since ~= tonumber(ARGV[3]) then return cold(0) end
  local gone = {}
  for _, field in ipairs(redis.call('HKEYS', address)) do gone[field] = true end
  redis.call('DEL', address)
  s = { h = tonumber(ARGV[4]), c = 0, m = tonumber(ARGV[5]), mc = 0, n = 0 }
  for i = 6, #ARGV, 3 do
    if not gone['s:' .. ARGV[i]] then
      book(s, ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2])
    end
  end
  store(s)
  return answer('seeded', load(), '')
end

if operation == 'peek' then
  local s = load()
  if not s then return cold(now - epoch()) end
  return answer('peeked', s, ARGV[3])
end

return redis.error_reply('no such operation: ' .. operation)
