-- The recent events of one entity. KEYS: events, tiles [, positives].
-- ARGV: at, horizon's start, keep's start (us), how many events are answered one by one, how
-- many may be summed up now, what to sum up (JSON, see features.online.tiles), the event at hand
-- as a member or ''.
-- Gives JSON: [[event, ...], [id of a positive, ...]], or an object of sums, or "busy".
local at, low = ARGV[1], '(' .. ARGV[2]
local n = redis.call('ZCOUNT', KEYS[1], low, at)

if n <= tonumber(ARGV[4]) then
  local events
  if n == 0 then -- when the entity was last seen is told even so
    events = redis.call('ZREVRANGEBYSCORE', KEYS[1], at, '(' .. ARGV[3], 'LIMIT', 0, 1)
  else
    events = redis.call('ZRANGEBYSCORE', KEYS[1], low, at)
  end
  local positives = '[]'
  if KEYS[3] and n > 0 then
    local ids = redis.call('ZRANGEBYSCORE', KEYS[3], low, at)
    if #ids > 0 then positives = cjson.encode(ids) end
  end
  return '[[' .. table.concat(events, ',') .. '],' .. positives .. ']'
end

return sums(n, tonumber(at), tonumber(ARGV[4]), tonumber(ARGV[5]), cjson.decode(ARGV[6]), ARGV[7])
