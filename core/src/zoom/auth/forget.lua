-- Forgets the shared access token if it is still the one that was refused.
-- KEYS[1]  the token: a hash of its number `n` and the sealed token `s`
-- ARGV[1]  the refused token's number
-- returns  1 if it was forgotten
-- O(1).
if redis.call('HGET', KEYS[1], 'n') == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
