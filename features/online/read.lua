-- The recent events of one entity. KEYS: events, tiles [, positives].
-- ARGV: at, horizon's start, keep's start (us), how many events are answered one by one, how
-- many may be summed up now, what to sum up (JSON, see features.online.tiles), the event at hand
-- as a member or ''.
-- Gives JSON: [[event, ...], [id of a positive, ...]], or an object of sums, or "busy".
local at, low = ARGV[1], '(' .. ARGV[2]
local exact = tonumber(ARGV[4])
-- all of its events are counted for nothing, those of a stretch one by one when they are few
local n = redis.call('ZCARD', KEYS[1])
if n > exact then n = redis.call('ZCOUNT', KEYS[1], low, at) end

if n <= exact then
  local events = redis.call('ZRANGEBYSCORE', KEYS[1], low, at)
  local positives = '[]'
  if #events == 0 then -- when the entity was last seen is told even so
    events = redis.call('ZREVRANGEBYSCORE', KEYS[1], at, '(' .. ARGV[3], 'LIMIT', 0, 1)
  elseif KEYS[3] then
    local ids = redis.call('ZRANGEBYSCORE', KEYS[3], low, at)
    if #ids > 0 then positives = cjson.encode(ids) end
  end
  return '[[' .. table.concat(events, ',') .. '],' .. positives .. ']'
end

return sums(n, tonumber(at), exact, tonumber(ARGV[5]), cjson.decode(ARGV[6]), ARGV[7])
